import { Positive, withDefault } from "../../../dsl/Params.ts"
import { logistic } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios } from "../referenceLaws.ts"
import { gap, meanLogRatio, scaled } from "../statistics.ts"

const objective = ({ beta }: { readonly beta: number }) => {
  const reward = scaled(beta, meanLogRatio)
  return { reward, loss: logistic(gap(reward)) }
}

/**
 * Length-normalized DPO: the implicit reward is `beta` times the mean, not the sum, of the tokens' log-ratios.
 * **Details** `loss = -ln sigma(r_w - r_l)`, `r = beta ln (policy / reference)(y) / |y|`; `beta > 0` in tokens a nat, so larger
 * than DPO's by about a length. `ln 2` where policy and reference agree.
 * **Source** Lambert et al. 2024, arXiv 2411.15124 (there with `beta = 5`); TRL's `loss_type="sigmoid_norm"`.
 */
export const sigmoidNorm = defineReferenced("sigmoid-norm", {
  module: import.meta.url,
  description: "Length-normalized DPO",
  params: { beta: Positive.pipe(withDefault(5)) },
  make: objective,
  laws: [atReference("costs ln 2", objective({ beta: 2 }), Math.LN2), seesOnlyLogRatios(objective({ beta: 2 }))]
})
