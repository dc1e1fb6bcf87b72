import { Effect, Schema, Stream } from "effect"
import type { DecodeError, Records } from "../../dsl/Artifact.ts"
import { type Text, Texts } from "../../dsl/artifacts.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"

/**
 * Mixes two sets of texts: the piped one `repeats` times and `and` `andRepeats` times.
 * **Details** `order: "concatenated"` gives one after the other; `"interleaved"` spreads both evenly over the whole, the
 * piped one first where they tie. The copies of a text carry its id with `~2`, `~3`, … behind it. Nothing is held: to
 * interleave, both sets are read once to count them.
 */
export const mix = Stage.make({
  name: "load.mix",
  description: "Two sets of texts, each repeated a number of times",
  module: import.meta.url,
  params: {
    repeats: Count.pipe(withDefault(1)),
    andRepeats: Count.pipe(withDefault(1)),
    order: Schema.Literals(["concatenated", "interleaved"]).pipe(withDefault("concatenated"))
  },
  input: Texts,
  inputs: { and: Texts },
  output: Texts,
  run: ({ input, inputs, params }): Stream.Stream<Text, DecodeError> => {
    const left = repeated(input, params.repeats)
    const right = repeated(inputs.and, params.andRepeats)
    if (params.order === "concatenated") return Stream.concat(left, right)
    return Stream.unwrap(
      Effect.gen(function* () {
        const total = {
          left: params.repeats * (yield* Stream.runCount(input.stream)),
          right: params.andRepeats * (yield* Stream.runCount(inputs.and.stream))
        }
        const interleaved = Stream.combine(
          left,
          right,
          () => ({ left: 0, right: 0 }),
          (taken, pullLeft, pullRight) =>
            // the side that is behind its share, in whole numbers: left / total.left <= right / total.right
            taken.right === total.right ||
            (taken.left < total.left && taken.left * total.right <= taken.right * total.left)
              ? Effect.map(pullLeft, (text) => [text, { ...taken, left: taken.left + 1 }] as const)
              : Effect.map(pullRight, (text) => [text, { ...taken, right: taken.right + 1 }] as const)
        )
        return interleaved as Stream.Stream<Text, DecodeError> // a pull's end is no failure of the stream
      })
    )
  }
})

const repeated = (texts: Records<Text>, times: number): Stream.Stream<Text, DecodeError> =>
  Stream.range(1, times).pipe(
    Stream.flatMap((copy) =>
      copy === 1 ? texts.stream : Stream.map(texts.stream, (text) => ({ ...text, id: `${text.id}~${copy}` }))
    )
  )
