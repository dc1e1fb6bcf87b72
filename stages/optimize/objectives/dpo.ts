import { Positive, withDefault } from "../../../dsl/Params.ts"
import { logistic, smooth } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { gap, scaled, sumLogRatio } from "../statistics.ts"
import { labelSmoothingField } from "./labelSmoothing.ts"

interface Options {
  readonly beta: number
  readonly labelSmoothing: number
}

const objective = ({ beta, labelSmoothing }: Options) => {
  const reward = scaled(beta, sumLogRatio)
  return { reward, loss: smooth(labelSmoothing)(logistic)(gap(reward)) }
}

/**
 * Direct Preference Optimization: logistic regression of the preference on the gap of implicit rewards
 * `r = beta ln (policy / reference)`, summed over the completion's tokens.
 * **Details** `loss = -(1 - e) ln sigma(r_w - r_l) - e ln sigma(r_l - r_w)`, `e = labelSmoothing` in [0, 1/2]: 0 is DPO,
 * above 0 conservative DPO. `ln 2` where policy and reference agree. `beta > 0` in 1/nat.
 * **Source** Rafailov et al. 2023, arXiv 2305.18290, eq. 7; smoothing: Mitchell 2023, "A note on DPO with noisy
 * preferences".
 */
export const dpo = defineReferenced("dpo", {
  module: import.meta.url,
  description: "Direct Preference Optimization, with label smoothing",
  params: { beta: Positive.pipe(withDefault(0.1)), labelSmoothing: labelSmoothingField },
  make: objective,
  laws: [
    atReference("costs ln 2", objective({ beta: 0.3, labelSmoothing: 0.1 }), Math.LN2),
    seesOnlyLogRatios(objective({ beta: 0.3, labelSmoothing: 0.1 })),
    seesOnlyTheGap(objective({ beta: 0.3, labelSmoothing: 0.1 }))
  ]
})
