import { Arbitrary, Effect, Schema } from "effect"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import * as Law from "../../dsl/Law.ts"
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

const Weights = Arbitrary.all([
  Arbitrary.array(Arbitrary.schema(Law.Real(-2, 2)), { minLength: 6, maxLength: 6 }),
  Arbitrary.schema(Law.Real(-0.5, 1))
]).pipe(
  Arbitrary.map(([values, alpha]) => {
    const tensors = (part: ReadonlyArray<number>): Tensors =>
      new Map([
        ["a", { shape: [2], data: Float32Array.from(part.slice(0, 2)) }],
        ["b", { shape: [1, 1], data: Float32Array.from(part.slice(2)) }]
      ])
    return { next: tensors(values.slice(0, 3)), previous: tensors(values.slice(3)), alpha }
  })
)
const every = (made: Tensors, holds: (name: string, x: number, i: number) => boolean) =>
  [...made].every(([name, { data }]) => Array.from(data).every((x, i) => holds(name, x, i)))

const laws: ReadonlyArray<Law.Law> = [
  Law.make(
    "alpha 0 changes nothing, nor does the way from a checkpoint to itself",
    Weights,
    ({ alpha, next, previous }) =>
      Effect.map(Effect.all([extrapolated(next, previous, 0), extrapolated(next, next, alpha)]), (made) =>
        made.every((each) => every(each, (name, x, i) => Object.is(x, next.get(name)!.data[i])))
      )
  ),
  Law.make("is (1 + alpha) next - alpha previous", Weights, ({ alpha, next, previous }) =>
    Effect.map(extrapolated(next, previous, alpha), (made) =>
      every(made, (name, x, i) => {
        const [now, then] = [next, previous].map((tensors) => tensors.get(name)!.data[i]!)
        return Math.abs(x - ((1 + alpha) * now! - alpha * then!)) < 1e-6
      })
    )
  ),
  Law.make("refuses tensors of other shapes, too many and too few", Weights, ({ next, previous }) => {
    const bent = new Map(previous).set("b", { shape: [1], data: previous.get("b")!.data })
    const fewer = new Map([...previous].slice(1))
    return Effect.map(
      Effect.all([
        Effect.flip(extrapolated(next, bent, 0.3)),
        Effect.flip(extrapolated(next, fewer, 0.3)),
        Effect.flip(extrapolated(fewer, next, 0.3))
      ]),
      (errors) => errors.every((error) => error instanceof ShapesDiffer)
    )
  })
]

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
  laws,
  run: ({ input: { trainerState: _, ...next }, inputs: { previous }, params: { alpha } }) =>
    Effect.map(extrapolated(next.weights, previous.weights, alpha), (weights): Checkpoint => ({ ...next, weights }))
})
