import { Arbitrary, Effect, Schema } from "effect"
import { type Pair, Pairs, Scored, type ScoredGroup } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import { eachGroup } from "./eachGroup.ts"
import { Groups } from "./generated.ts"
import { ranked } from "./PairRule.ts"
import { unscored } from "./unscored.ts"

const tripleOf = ({ completions, prompt }: ScoredGroup): ReadonlyArray<Pair> => {
  const order = ranked(completions)
  if (order.length < 3) return []
  const [g, c, r] = [order[0]!, order[1]!, order.at(-1)!]
  const [gold, chosen, rejected] = [completions[g]!, completions[c]!, completions[r]!]
  if (chosen.score === rejected.score) return []
  return [
    {
      id: `${prompt.id}/${g}-${c}-${r}`,
      prompt,
      chosen: unscored(chosen),
      rejected: unscored(rejected),
      margin: chosen.score - rejected.score,
      others: { gold: { completion: unscored(gold) } }
    }
  ]
}

const texts = (pairs: ReadonlyArray<Pair>) =>
  String(pairs.map(({ chosen, others, rejected }) => [others!["gold"]!.completion.text, chosen.text, rejected.text]))
const Shift = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -5, maximum: 5 })))

const laws: ReadonlyArray<Law.Law> = [
  Law.make(
    "takes best, second and last, of three answers or more that do not all lose to the best",
    Groups(),
    (groups) =>
      groups.every((group) => {
        const scores = group.completions.map(({ score }) => score).sort((a, b) => b - a)
        const [made] = tripleOf(group)
        if (made === undefined) return scores.length < 3 || scores[1] === scores.at(-1)
        const score = ({ text }: { readonly text: string }) => group.completions.find((own) => own.text === text)!.score
        return (
          score(made.others!["gold"]!.completion) === scores[0] &&
          score(made.chosen) === scores[1] &&
          score(made.rejected) === scores.at(-1) &&
          made.margin === scores[1]! - scores.at(-1)! &&
          made.margin > 0
        )
      })
  ),
  Law.make("sees only the order of scores", Arbitrary.all([Groups(), Shift]), ([groups, shift]) =>
    groups.every((group) => {
      const moved = group.completions.map((own) => ({ ...own, score: 2 * own.score + shift }))
      return texts(tripleOf(group)) === texts(tripleOf({ ...group, completions: moved }))
    })
  ),
  Law.make("names three different answers by their places", Groups(), (groups) =>
    groups.every((group) =>
      tripleOf(group).every(({ chosen, id, others, rejected }) => {
        const places = id.split("/")[1]!.split("-").map(Number)
        const named = places.map((place) => group.completions[place]!.text)
        return (
          new Set(places).size === 3 &&
          String(named) === String([others!["gold"]!.completion.text, chosen.text, rejected.text])
        )
      })
    )
  )
]

/**
 * Of the answers to each prompt the best as `others.gold`, the second as chosen and the last as rejected.
 * **Details** Ties keep their order; gold may tie with chosen. A prompt with fewer than three answers, or whose second
 * answer ties with the last, is dropped. Ids are `<prompt id>/<gold>-<chosen>-<rejected>` by place; the margin is that
 * of chosen over rejected. Fails with `NoPairs` if not one comes out.
 * **Source** Saeidi et al. 2024, arXiv 2405.16681 (TPO).
 */
export const triple = Stage.make({
  name: "pair.triple",
  description: "Gold, chosen and rejected answers by rank",
  module: import.meta.url,
  params: {},
  input: Scored,
  output: Pairs,
  laws,
  run: ({ input }) => eachGroup(input, "triple", (group) => Effect.sync(() => tripleOf(group)))
})
