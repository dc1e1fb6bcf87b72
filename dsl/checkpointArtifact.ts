import { Effect, Option, Stream } from "effect"
import * as Artifact from "./Artifact.ts"
import * as Checkpoint from "./Checkpoint.ts"
import { concatenate } from "./internal/bytes.ts"
import { differences } from "./Json.ts"

/**
 * A language model as a Hugging Face folder. A recomputation on the same device is expected to give the same bytes; on
 * another one, weights may differ by what rounding does to a training.
 */
export const CheckpointFolder = Artifact.folder(
  "checkpoint",
  {
    encode: (checkpoint: Checkpoint.Checkpoint) => Effect.succeed(Checkpoint.toFiles(checkpoint)),
    decode: Effect.fnUntraced(function* (files) {
      const contents = yield* Effect.forEach(files.names, (name) =>
        Stream.runCollect(files.open(name)).pipe(Effect.map((chunks) => [name, concatenate(chunks)] as const))
      )
      return yield* Checkpoint.fromFiles(new Map(contents)).pipe(
        Effect.mapError(
          (cause) => new Artifact.ArtifactInvalid({ artifact: "checkpoint", where: cause.file, problem: cause.message })
        )
      )
    }),
    compare: (stored, fresh, equality) => {
      const same = Artifact.sameNumber(equality)
      for (const part of ["config", "tokenizer", "tokenizerConfig", "trainerState"] as const) {
        const [first] = differences(stored[part], fresh[part], same)
        if (first !== undefined)
          return Option.some(`${part}: ${first.at}: stored ${first.left}, recomputed ${first.right}`)
      }
      if (stored.weights.size !== fresh.weights.size) return Option.some("other tensors")
      for (const [name, tensor] of stored.weights) {
        const other = fresh.weights.get(name)
        if (other === undefined || other.data.length !== tensor.data.length) return Option.some(`${name}: other shape`)
        const at = tensor.data.findIndex((x, i) => !same(x, other.data[i]!))
        if (at >= 0) return Option.some(`${name}[${at}]: stored ${tensor.data[at]}, recomputed ${other.data[at]}`)
      }
      return Option.none()
    }
  },
  { equality: Artifact.within(1e-3) }
)
