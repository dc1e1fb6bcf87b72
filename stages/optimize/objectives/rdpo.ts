import { NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import { add, length, mul } from "../algebra/Expression.ts"
import { logistic } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { gap, implicitReward, perRole } from "../statistics.ts"

interface Options {
  readonly alpha: number
  readonly beta: number
}

const objective = ({ alpha, beta }: Options) => {
  const logRatio = implicitReward(beta)
  const reward = perRole((role) => add(logRatio(role), mul(length(role), alpha)))
  return { reward, loss: logistic(gap(reward)) }
}

/**
 * DPO with length regularization: of the reward that explains the preferences, `alpha` a token is put down to length, and
 * the policy learns the rest.
 * **Details** `loss = -ln sigma(r_w - r_l)`, `r = beta ln (policy / reference)(y) + alpha |y|`, `alpha >= 0` in 1/token; 0 is
 * DPO.
 * **Source** Park et al. 2024, arXiv 2403.19159.
 */
export const rdpo = defineReferenced("rdpo", {
  module: import.meta.url,
  description: "DPO with length regularization",
  params: { beta: Positive.pipe(withDefault(0.1)), alpha: NonNegative.pipe(withDefault(0.01)) },
  make: objective,
  laws: [seesOnlyLogRatios(objective({ beta: 0.3, alpha: 0.1 })), seesOnlyTheGap(objective({ beta: 0.3, alpha: 0.1 }))]
})
