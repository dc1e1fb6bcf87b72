import { NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import { mul, neg, relu, sub } from "../algebra/Expression.ts"
import { logistic } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios } from "../referenceLaws.ts"
import { gap, implicitReward } from "../statistics.ts"

interface Options {
  readonly beta: number
  readonly lambda: number
}

const objective = ({ beta, lambda }: Options) => {
  const reward = implicitReward(beta)
  return { reward, loss: logistic(sub(gap(reward), mul(relu(neg(reward("chosen"))), lambda))) }
}

/**
 * DPO-positive: a chosen answer must not become less likely than it is under the reference.
 * **Details** `loss = -ln sigma(r_w - r_l - lambda max(0, -r_w))`, `r` the implicit reward, `lambda >= 0`; 0 is DPO. `ln 2`
 * where policy and reference agree.
 * **Source** Pal et al. 2024, arXiv 2402.13228.
 */
export const dpop = defineReferenced("dpop", {
  module: import.meta.url,
  description: "DPO-positive: DPO that penalizes chosen answers below the reference",
  params: { beta: Positive.pipe(withDefault(0.1)), lambda: NonNegative.pipe(withDefault(50)) },
  make: objective,
  laws: [
    atReference("costs ln 2", objective({ beta: 0.3, lambda: 5 }), Math.LN2),
    seesOnlyLogRatios(objective({ beta: 0.3, lambda: 5 }))
  ]
})
