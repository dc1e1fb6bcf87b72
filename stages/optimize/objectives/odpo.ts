import { NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import { mul, number, sub } from "../algebra/Expression.ts"
import { logistic } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { gap, implicitReward } from "../statistics.ts"

interface Options {
  readonly beta: number
  readonly alpha: number
}

const objective = ({ alpha, beta }: Options) => {
  const reward = implicitReward(beta)
  const offset = mul(number("offset", { minimum: 0, maximum: 3 }), alpha)
  return { reward, loss: logistic(sub(gap(reward), offset)) }
}

/**
 * DPO with an offset: the chosen answer has to lead by the more, the more it is better.
 * **Details** `loss = -ln sigma(r_w - r_l - alpha offset)`, `r` the implicit reward, `offset` a number of each pair, e.g.
 * `ln (score_w - score_l)` or the difference itself; `alpha >= 0`, and 0 is DPO.
 * **Source** Amini et al. 2024, arXiv 2402.10571.
 */
export const odpo = defineReferenced("odpo", {
  module: import.meta.url,
  description: "DPO with an offset for each pair",
  params: { beta: Positive.pipe(withDefault(0.1)), alpha: NonNegative.pipe(withDefault(1)) },
  make: objective,
  laws: [seesOnlyLogRatios(objective({ beta: 0.3, alpha: 0.5 })), seesOnlyTheGap(objective({ beta: 0.3, alpha: 0.5 }))]
})
