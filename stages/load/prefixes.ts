import { Effect, Schema, Stream } from "effect"
import { type Prompt, Prompts, type Text, Texts } from "../../dsl/artifacts.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { words } from "./selection.ts"

/**
 * Makes prompts of the first `words` words of texts, each prompt once, named by the first text that begins so.
 * **Details** Texts of fewer than `words + 1` words are dropped: nothing would be left to write. `without` takes prompts
 * that must not occur again, so a held-out set can be kept apart from the training prompts by text. `order: "shuffled"`
 * is a random order of the whole set, drawn from the node's stream before `limit` is applied.
 * **Gotchas** Holds the distinct prompts, to know them again.
 */
export const prefixes = Stage.make({
  name: "load.prefixes",
  description: "The first words of texts as prompts",
  module: import.meta.url,
  params: {
    words: Count.pipe(withDefault(3)),
    limit: Schema.optionalKey(Count),
    order: Schema.Literals(["given", "shuffled"]).pipe(withDefault("given"))
  },
  input: Texts,
  inputs: { without: Stage.optional(Prompts) },
  output: Prompts,
  random: true,
  run: ({ input, inputs, params, rng }) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const seen = new Set<string>()
        if (inputs.without !== undefined)
          yield* Stream.runForEach(inputs.without.stream, ({ text }) => Effect.sync(() => seen.add(text)))
        const distinct = input.stream.pipe(
          Stream.map((text) => prefix(text, params.words)),
          Stream.filter((prompt) => prompt !== undefined),
          Stream.filter(({ text }) => !seen.has(text) && seen.add(text) !== undefined)
        )
        const limit = params.limit ?? Number.POSITIVE_INFINITY
        if (params.order === "given") return Stream.take(distinct, limit)
        const all = yield* Stream.runCollect(distinct)
        return Stream.fromIterable(rng.permutation(0, all.length)).pipe(
          Stream.map((at) => all[at]!),
          Stream.take(limit)
        )
      })
    )
})

const prefix = ({ id, text }: Text, count: number): Prompt | undefined => {
  const all = words(text)
  return all.length > count ? { id, text: all.slice(0, count).join(" ") } : undefined
}
