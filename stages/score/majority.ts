import { Arbitrary, Effect, Schema } from "effect"
import * as Law from "../../dsl/Law.ts"
import { withDefault } from "../../dsl/Params.ts"
import { duelScores } from "./duelScores.ts"
import { Judge } from "./Judge.ts"
import { Reward } from "./Reward.ts"

/** The probability of the answer that leads by these scores, one lead a criterion. */
const verdict = (leads: ReadonlyArray<number>, confidence: number) => {
  const votes = leads.reduce((sum, lead) => sum + Math.sign(lead), 0)
  return 0.5 + Math.sign(votes) * (confidence - 0.5)
}

const Leads = Arbitrary.array(Arbitrary.schema(Law.Real(-2, 2)), { minLength: 1, maxLength: 5 })
const laws: ReadonlyArray<Law.Law> = [
  Law.make(
    "sees which answer leads in a criterion, not by how much",
    Leads,
    (leads) =>
      verdict(leads, 0.8) ===
      verdict(
        leads.map((lead) => lead ** 3),
        0.8
      )
  ),
  Law.make("one more vote never hurts", Leads, (leads) => verdict([...leads, 1], 0.8) >= verdict(leads, 0.8)),
  Law.make(
    "follows all criteria where they agree",
    Leads,
    (leads) =>
      verdict(
        leads.map((lead) => Math.abs(lead) + 1),
        0.8
      ) === 0.8
  )
]

/**
 * The majority of several rewards, each with one vote for the answer that it scores higher and none where both score
 * alike.
 * **Details** The answer with more votes is preferred with probability `confidence`, in [1/2, 1]; with as many votes
 * for either it is 1/2. With three rewards that disagree this is intransitive (Condorcet's paradox), so no reward
 * explains it.
 */
export const majority = Judge.define("majority", {
  module: import.meta.url,
  description: "The answer that more rewards score higher",
  params: {
    rewards: Schema.NonEmptyArray(Reward.schema),
    confidence: Schema.Finite.check(Schema.isBetween({ minimum: 0.5, maximum: 1 })).pipe(withDefault(1))
  },
  make: ({ confidence, rewards }) => ({
    prefers: (duels) =>
      Effect.map(
        Effect.forEach(rewards, (reward) => duelScores(reward, duels)),
        (criteria) =>
          duels.map((_, d) => {
            const leads = criteria.map((scores) => scores[d]![0] - scores[d]![1])
            return verdict(leads, confidence)
          })
      )
  }),
  laws
})
