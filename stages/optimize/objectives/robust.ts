import { Schema } from "effect"
import { Positive, withDefault } from "../../../dsl/Params.ts"
import * as links from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { gap, implicitReward } from "../statistics.ts"

interface Options {
  readonly beta: number
  readonly labelSmoothing: number
}

const objective = ({ beta, labelSmoothing }: Options) => {
  const reward = implicitReward(beta)
  return { reward, loss: links.robust(labelSmoothing)(links.logistic)(gap(reward)) }
}

/**
 * Robust DPO: DPO's loss as it would be without the noise, where labels are flipped with a known probability.
 * **Details** `loss = (-(1 - e) ln sigma(z) + e ln sigma(-z)) / (1 - 2e)`, `z` the gap of implicit rewards, `e =
 * labelSmoothing` in [0, 1/2). `ln 2` where policy and reference agree; not bounded below.
 * **Gotchas** Smoothing (`dpo`'s `labelSmoothing`) adds the swapped label's loss; this subtracts it.
 * **Source** Ray Chowdhury et al. 2024, arXiv 2403.00409; TRL's `loss_type="robust"`.
 */
export const robust = defineReferenced("robust", {
  module: import.meta.url,
  description: "Robust DPO: unbiased under labels flipped with a known probability",
  params: {
    beta: Positive.pipe(withDefault(0.1)),
    labelSmoothing: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0), Schema.isLessThan(0.5)).pipe(withDefault(0.1))
  },
  make: objective,
  laws: [
    atReference("costs ln 2", objective({ beta: 0.3, labelSmoothing: 0.1 }), Math.LN2),
    seesOnlyLogRatios(objective({ beta: 0.3, labelSmoothing: 0.1 })),
    seesOnlyTheGap(objective({ beta: 0.3, labelSmoothing: 0.1 }))
  ]
})
