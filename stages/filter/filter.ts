import { Arbitrary, Effect, Schema, Stream } from "effect"
import { Scored, type ScoredGroup } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import { FilterRule } from "./FilterRule.ts"

/** A filter rule did not decide about every answer. */
export class FilterRuleBroken extends Schema.TaggedError<FilterRuleBroken>()("FilterRuleBroken", {
  rule: Schema.String,
  prompt: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `the filter rule ${this.rule}, prompt ${JSON.stringify(this.prompt)}: ${this.problem}`
  }
}

/** Applies a rule group by group. */
const apply =
  ({ implementation, name }: { readonly name: string; readonly implementation: FilterRule }) =>
  <E, R>(groups: Stream.Stream<ScoredGroup, E, R>) =>
    groups.pipe(
      Stream.mapEffect(({ completions, prompt }): Effect.Effect<ScoredGroup, FilterRuleBroken> => {
        const keeps = implementation.keeps(completions, prompt)
        if (keeps.length !== completions.length) {
          const problem = `decided about ${keeps.length} of ${completions.length} answers`
          return Effect.fail(new FilterRuleBroken({ rule: name, prompt: prompt.id, problem }))
        }
        return Effect.succeed({ prompt, completions: completions.filter((_, i) => keeps[i]) })
      }),
      Stream.filter(({ completions }) => completions.length > 0)
    )

/** Groups of answers scored -1, 0 or 1: the positive ones are kept. */
const Groups = Arbitrary.array(Arbitrary.array(Arbitrary.schema(Schema.Literals([-1, 0, 1])), { maxLength: 5 }), {
  maxLength: 5
}).pipe(
  Arbitrary.map((groups) =>
    groups.map(
      (scores, g): ScoredGroup => ({
        prompt: { id: `${g}`, text: "" },
        completions: scores.map((score, i) => ({ text: `${i % 2}`, finish: "stop", score }))
      })
    )
  )
)
const positive: FilterRule = { keeps: (completions) => completions.map(({ score }) => score > 0) }

const law = Law.make("returns the answers that the rule keeps, unchanged and in order", Groups, (groups) =>
  Stream.fromIterable(groups).pipe(
    apply({ name: "positive", implementation: positive }),
    Stream.runCollect,
    Effect.map((kept) => {
      const expected = groups.filter(({ completions }) => completions.some(({ score }) => score > 0))
      return (
        kept.length === expected.length &&
        kept.every(({ completions, prompt }, g) => {
          const wanted = expected[g]!.completions.filter(({ score }) => score > 0)
          return (
            prompt === expected[g]!.prompt &&
            completions.length === wanted.length &&
            completions.every((completion, i) => completion === wanted[i])
          )
        })
      )
    })
  )
)

/**
 * Keeps the answers that a rule keeps, in order, unchanged; a prompt without answers left is dropped with them.
 * **Details** Rules compose by filtering twice: `Pipeable.pipe(filter({ by: distinct() }), filter({ by: minCompletions() }))`.
 *
 * @example
 * ```ts
 * import { Pipeline } from "prefline/dsl"
 * import * as Text from "prefline/pipelines/testbeds/text"
 * import { distinct, filter, minCompletions, sample, score } from "prefline/stages"
 *
 * export default Pipeline.make("filtered", { description: "An example", params: {} }, () => {
 *   const reference = Text.policy({ steps: 300 })
 *   const prompts = Text.prompts({ split: "train", limit: 100 })
 *   return {
 *     kept: prompts.pipe(
 *       sample({ policy: reference, perPrompt: 4 }),
 *       score({ reward: Text.sentiment }),
 *       filter({ by: distinct() }),
 *       filter({ by: minCompletions({ count: 2 }), as: "enough" })
 *     )
 *   }
 * })
 * ```
 */
export const filter = Stage.make({
  name: "filter",
  description: "Scored answers that a rule keeps",
  module: import.meta.url,
  params: { by: FilterRule.schema },
  input: Scored,
  output: Scored,
  laws: [law],
  run: ({ input, params }) => apply(params.by)(input.stream)
})
