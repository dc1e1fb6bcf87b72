import { Effect, Schema } from "effect"
import { type Pair, Pairs, Scored, type ScoredGroup } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { eachGroup } from "./eachGroup.ts"
import { Groups } from "./generated.ts"
import { ranked } from "./PairRule.ts"
import { unscored } from "./unscored.ts"

type Name = "winRate" | "score"

const ratedOf = ({ completions, prompt }: ScoredGroup, name: Name): ReadonlyArray<Pair> => {
  const order = ranked(completions)
  const [best, worst] = [order[0], order.at(-1)]
  if (best === undefined || worst === undefined) return []
  const [chosen, rejected] = [completions[best]!, completions[worst]!]
  if (!(chosen.score > rejected.score)) return []
  return [
    {
      id: `${prompt.id}/${best}-${worst}`,
      prompt,
      chosen: unscored(chosen),
      rejected: unscored(rejected),
      margin: chosen.score - rejected.score,
      numbers: { [`${name}Chosen`]: chosen.score, [`${name}Rejected`]: rejected.score }
    }
  ]
}

const laws: ReadonlyArray<Law.Law> = [
  Law.make("no answer scores above the chosen one, none below the rejected one", Groups(), (groups) =>
    groups.every((group) => {
      const scores = group.completions.map(({ score }) => score)
      return ratedOf(group, "score").every(
        ({ numbers }) =>
          numbers!["scoreChosen"] === Math.max(...scores) && numbers!["scoreRejected"] === Math.min(...scores)
      )
    })
  ),
  Law.make("a prompt gives a pair exactly where its scores differ", Groups(), (groups) =>
    groups.every((group) => {
      const different = new Set(group.completions.map(({ score }) => score)).size > 1
      return ratedOf(group, "winRate").length === (different ? 1 : 0)
    })
  ),
  Law.make("the numbers are those of the pair's own answers", Groups(), (groups) =>
    groups.every((group) =>
      ratedOf(group, "winRate").every(({ chosen, margin, numbers, rejected }) => {
        const scoreOf = (text: string) => group.completions.find((completion) => completion.text === text)!.score
        const [won, lost] = [numbers!["winRateChosen"]!, numbers!["winRateRejected"]!]
        return won === scoreOf(chosen.text) && lost === scoreOf(rejected.text) && margin === won - lost
      })
    )
  )
]

/**
 * The best and the worst scored answer to each prompt, with their scores as numbers: `winRateChosen` and `winRateRejected`, or
 * `scoreChosen` and `scoreRejected`, as regressions on them read.
 * **Details** The first of several best and the last of several worst; prompts whose answers all score the same give none.
 * Fails with `NoPairs` if not one pair comes out.
 * **Source** uclaml/SPPO, which keeps these two of its samples.
 */
export const rated = Stage.make({
  name: "pair.rated",
  description: "The best and the worst answer with their scores",
  module: import.meta.url,
  params: { numbers: Schema.Literals(["winRate", "score"]).pipe(withDefault("winRate")) },
  input: Scored,
  output: Pairs,
  laws,
  run: ({ input, params }) => eachGroup(input, "rated", (group) => Effect.succeed(ratedOf(group, params.numbers)))
})
