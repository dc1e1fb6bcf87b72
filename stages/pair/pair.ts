import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Pair, Pairs, Scored, type ScoredCompletion, type ScoredGroup } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { PairRule, type Preference } from "./PairRule.ts"

/** Not one pair could be made; the counts say why. */
export class NoPairs extends Schema.TaggedError<NoPairs>()("NoPairs", {
  rule: Schema.String,
  prompts: Schema.Int,
  /** Prompts with fewer than two answers. */
  single: Schema.Int,
  /** Prompts with two answers or more, all of one score. */
  tied: Schema.Int
}) {
  override get message() {
    const { prompts, rule, single, tied } = this
    if (prompts === 0) return "no pairs: no prompt was given; a filter before may have dropped them all"
    const rest = prompts - single - tied
    return `no pairs from ${prompts} prompts by the rule ${rule}: ${single} have fewer than two answers, ${tied} have answers of one score only, and the rule made none of the other ${rest}`
  }
}

/** A pair rule pointed at answers that are not there, or preferred one that is not better. */
export class PairRuleBroken extends Schema.TaggedError<PairRuleBroken>()("PairRuleBroken", {
  rule: Schema.String,
  prompt: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `the pair rule ${this.rule}, prompt ${JSON.stringify(this.prompt)}: ${this.problem}`
  }
}

const unscored = ({ score: _, ...completion }: ScoredCompletion) => completion

const pairsOf = Effect.fnUntraced(function* (
  rule: string,
  { completions, prompt }: ScoredGroup,
  preferences: ReadonlyArray<Preference>
) {
  const broken = (problem: string) => new PairRuleBroken({ rule, prompt: prompt.id, problem })
  const pairs = new Map<string, Pair>()
  for (const [i, j] of preferences) {
    const [chosen, rejected] = [completions[i], completions[j]]
    if (chosen === undefined || rejected === undefined)
      return yield* broken(`pairs answers ${i} and ${j} of ${completions.length}`)
    if (!(chosen.score > rejected.score))
      return yield* broken(`prefers answer ${i} (score ${chosen.score}) to answer ${j} (score ${rejected.score})`)
    const id = `${prompt.id}/${i}-${j}`
    if (pairs.has(id)) return yield* broken(`pairs answers ${i} and ${j} twice`)
    pairs.set(id, {
      id,
      prompt,
      chosen: unscored(chosen),
      rejected: unscored(rejected),
      margin: chosen.score - rejected.score
    })
  }
  return [...pairs.values()]
})

/** Some prompts with a few answers each, whose texts tell the prompt. */
const Groups = Arbitrary.array(
  Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -2, maximum: 2 }))), { maxLength: 5 }),
  { minLength: 1, maxLength: 4 }
).pipe(
  Arbitrary.map((groups) =>
    groups.map(
      (scores, g): ScoredGroup => ({
        prompt: { id: `${g}`, text: `${g}` },
        completions: scores.map((score) => ({ text: `${g}:${score}`, finish: "stop", score }))
      })
    )
  )
)
const everyBetter: PairRule = {
  pairs: (completions) =>
    completions.flatMap((better, i) =>
      completions.flatMap((worse, j) => (better.score > worse.score ? [[i, j] as const] : []))
    )
}

const law = Law.make("pairs answers to one prompt, the better one chosen, under ids that differ", Groups, (groups) =>
  Effect.forEach(groups, (group) => pairsOf("every better", group, everyBetter.pairs(group.completions))).pipe(
    Effect.map((made) => {
      const pairs = made.flat()
      const [promptOf, scoreOf] = [(text: string) => text.split(":")[0]!, (text: string) => Number(text.split(":")[1])]
      return (
        new Set(pairs.map(({ id }) => id)).size === pairs.length &&
        pairs.every(
          ({ chosen, margin, prompt, rejected }) =>
            promptOf(chosen.text) === prompt.text &&
            promptOf(rejected.text) === prompt.text &&
            margin > 0 &&
            margin === scoreOf(chosen.text) - scoreOf(rejected.text)
        )
      )
    })
  )
)

/**
 * Makes preference pairs of scored answers, each within one prompt, the strictly higher score chosen.
 * **Details** A pair's id is `<prompt id>/<i>-<j>`, the places of the chosen and the rejected answer among the answers
 * given; its margin is the difference of their scores. `limit` keeps the first pairs. Fails with `NoPairs` if not one
 * comes out.
 * **Gotchas** Prompts with equal ids make pairs with equal ids.
 *
 * @example
 * ```ts
 * import { Pipeline } from "prefline/dsl"
 * import * as Text from "prefline/pipelines/testbeds/text"
 * import { bestWorst, pair, sample, score } from "prefline/stages"
 *
 * export default Pipeline.make("paired", { description: "An example", params: {} }, () => {
 *   const reference = Text.policy({ steps: 300 })
 *   const prompts = Text.prompts({ split: "train", limit: 100 })
 *   return {
 *     pairs: prompts.pipe(
 *       sample({ policy: reference, perPrompt: 4 }),
 *       score({ reward: Text.sentiment }),
 *       pair({ by: bestWorst() })
 *     )
 *   }
 * })
 * ```
 */
export const pair = Stage.make({
  name: "pair",
  description: "Preference pairs of scored answers",
  module: import.meta.url,
  params: { by: PairRule.schema, limit: Schema.optionalKey(Count) },
  input: Scored,
  output: Pairs,
  laws: [law],
  run: ({ input, params: { by, limit } }) =>
    Stream.suspend(() => {
      const count = { prompts: 0, single: 0, tied: 0, pairs: 0 }
      return input.stream.pipe(
        Stream.mapEffect((group) =>
          Effect.gen(function* () {
            count.prompts++
            if (group.completions.length < 2) count.single++
            else if (group.completions.every(({ score }) => score === group.completions[0]!.score)) count.tied++
            const pairs = yield* pairsOf(by.name, group, by.implementation.pairs(group.completions))
            count.pairs += pairs.length
            return pairs
          })
        ),
        Stream.flattenIterable,
        Stream.concat(
          Stream.suspend(() => {
            const { pairs, ...counts } = count
            return pairs === 0 ? Stream.fail(new NoPairs({ rule: by.name, ...counts })) : Stream.empty
          })
        ),
        Stream.take(limit ?? Number.POSITIVE_INFINITY)
      )
    })
})
