import { Arbitrary, Schema } from "effect"
import * as Law from "../../../dsl/Law.ts"
import { NonNegative, withDefault } from "../../../dsl/Params.ts"
import * as Rng from "../../../dsl/Rng.ts"
import { bradleyTerry, fitBradleyTerry, klOptimum, type Matrix } from "../../../runtime/exact/bandit.ts"
import type { Numbers } from "../../../runtime/exact/numbers.ts"
import { normalVector } from "../../../runtime/exact/random.ts"
import { payoffsOf } from "../payoffs.ts"
import { Solutions } from "../Solutions.ts"

const optimum = (preferences: Matrix, logReference: Numbers, beta: number): Float64Array => {
  const scores = fitBradleyTerry(preferences)
  if (beta > 0) return klOptimum(logReference, scores, beta).logPolicy
  const best = scores.indexOf(Math.max(...scores))
  return scores.map((_, y) => (y === best ? 0 : -700))
}

const Seed = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 })))
const rewards = (seed: number) => normalVector(5, Rng.make(seed, "rewards"))
const even = new Float64Array(5).fill(-Math.log(5))

const laws: ReadonlyArray<Law.Law> = [
  Law.make("is the optimum of the reward where there is one", Seed, (seed) => {
    const [found, wanted] = [
      optimum(bradleyTerry(rewards(seed)), even, 0.5),
      klOptimum(even, rewards(seed), 0.5).logPolicy
    ]
    return found.every((logProb, y) => Math.abs(logProb - wanted[y]!) < 1e-6)
  }),
  Law.make("without a penalty is the best response", Seed, (seed) => {
    const reward = rewards(seed)
    return optimum(bradleyTerry(reward), even, 0)[reward.indexOf(Math.max(...reward))] === 0
  })
]

/**
 * What learning from preferences by way of a reward comes to: Bradley-Terry scores of maximum likelihood, every pair equally
 * often, then `reference(y) exp(score(y) / beta) / Z`, or for `beta: 0` the answer with the highest score. Where preferences
 * are intransitive no score explains them.
 */
export const bradleyTerryOptimum = Solutions.define("bradley-terry-optimum", {
  module: import.meta.url,
  description: "The optimum of Bradley-Terry scores less beta times KL",
  params: { beta: NonNegative.pipe(withDefault(0.1)) },
  make:
    ({ beta }) =>
    (world, context, logReference) =>
      optimum(payoffsOf(world, context, "win-rate"), logReference, beta),
  laws
})
