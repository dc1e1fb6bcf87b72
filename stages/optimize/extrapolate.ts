import { Effect, Schema } from "effect"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import { withDefault } from "../../dsl/Params.ts"
import type { Tensors } from "../../dsl/Safetensors.ts"
import * as Stage from "../../dsl/Stage.ts"

/** Two checkpoints do not have the same tensors. */
export class ShapesDiffer extends Schema.TaggedError<ShapesDiffer>()("ShapesDiffer", {
  tensor: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `optimize.extrapolate: the tensor ${this.tensor} ${this.problem}`
  }
}

/** `next + alpha (next - previous)`: exactly `next` where `alpha` is 0 or both are equal. */
export const beyond = (next: number, previous: number, alpha: number): number => next + alpha * (next - previous)

/** The same, tensor by tensor, rounded to float32 once. Fails for tensors that one of both lacks or that differ in shape. */
export const extrapolated = (next: Tensors, previous: Tensors, alpha: number): Effect.Effect<Tensors, ShapesDiffer> => {
  const invalid = (tensor: string, problem: string) => Effect.fail(new ShapesDiffer({ tensor, problem }))
  for (const name of previous.keys()) if (!next.has(name)) return invalid(name, "is the previous checkpoint's alone")
  const made = new Map<string, { shape: ReadonlyArray<number>; data: Float32Array }>()
  for (const [name, { data, shape }] of next) {
    const before = previous.get(name)
    if (before === undefined) return invalid(name, "is missing in the previous checkpoint")
    if (before.shape.join() !== shape.join())
      return invalid(name, `has shape [${shape.join(", ")}], the previous one [${before.shape.join(", ")}]`)
    made.set(name, { shape, data: Float32Array.from(data, (x, i) => beyond(x, before.data[i]!, alpha)) })
  }
  return Effect.succeed(made)
}

/**
 * Goes on from `previous` to the piped checkpoint: weights `next + alpha (next - previous)`, which is
 * `(1 + alpha) next - alpha previous`. With `alpha: -0.5` it is their mean.
 * **Details** Configuration and tokenizer are the piped one's; a log of training is left out, since nothing was trained. A
 * head (`score.weight`) is extrapolated too. Fails with `ShapesDiffer` where the checkpoints do not have the same tensors.
 * **Source** He et al. 2024, arXiv 2410.06293, algorithm 1: for policies that are linear in their parameters before the
 * softmax, this is the extrapolation of policies.
 */
export const extrapolate = Stage.make({
  name: "optimize.extrapolate",
  description: "Weights extrapolated along the way from one checkpoint to the next",
  module: import.meta.url,
  params: { alpha: Schema.Finite.pipe(withDefault(0.3)) },
  input: CheckpointFolder,
  inputs: { previous: CheckpointFolder },
  output: CheckpointFolder,
  run: ({ input: { trainerState: _, ...next }, inputs: { previous }, params: { alpha } }) =>
    Effect.map(extrapolated(next.weights, previous.weights, alpha), (weights): Checkpoint => ({ ...next, weights }))
})
