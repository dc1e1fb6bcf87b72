import { Positive, withDefault } from "../../../dsl/Params.ts"
import { mul, sorted, sub } from "../algebra/Expression.ts"
import { logistic, smooth } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { gap, implicitReward, sumLogProb, sumLogRatio, sumReferenceLogProb } from "../statistics.ts"
import { labelSmoothingField } from "./labelSmoothing.ts"

interface Options {
  readonly beta: number
  readonly labelSmoothing: number
}

const paired = ({ beta, labelSmoothing }: Options) => ({
  reward: implicitReward(beta),
  loss: smooth(labelSmoothing)(logistic)(mul(sub(sorted(gap(sumLogProb)), sorted(gap(sumReferenceLogProb))), beta))
})

const unpaired = ({ beta, labelSmoothing }: Options) => ({
  reward: implicitReward(beta),
  loss: smooth(labelSmoothing)(logistic)(mul(sub(sorted(sumLogRatio("chosen")), sorted(sumLogRatio("rejected"))), beta))
})

const params = { beta: Positive.pipe(withDefault(0.1)), labelSmoothing: labelSmoothingField }

/**
 * Alignment via optimal transport: the policy's gaps over a batch shall dominate the reference's, quantile by quantile.
 * **Details** Sorts the batch's gaps `ln policy(y_w) - ln policy(y_l)` and, apart from them, the reference's, pairs them by
 * rank, and takes DPO's loss of `beta` times the difference. The mean over the batch is what is defined: a value belongs to
 * a rank, not to an item. A batch of one is DPO. `ln 2` where policy and reference agree.
 * **Gotchas** The larger the batch the closer the quantiles to those of the data. Items' weights fall on ranks: leave them
 * equal.
 * **Source** Melnyk et al. 2024, arXiv 2406.05882; TRL's `loss_type="aot"` (`"aot_pair"` in earlier versions).
 */
export const aot = defineReferenced("aot", {
  module: import.meta.url,
  description: "Alignment via optimal transport: stochastic dominance of the policy's gaps over the reference's",
  params,
  make: paired,
  laws: [
    atReference("costs ln 2", paired({ beta: 0.3, labelSmoothing: 0.1 }), Math.LN2),
    seesOnlyTheGap(paired({ beta: 0.3, labelSmoothing: 0.1 }))
  ]
})

/**
 * Alignment via optimal transport without pairs: the log-ratios of the chosen answers shall dominate those of the rejected
 * ones, quantile by quantile.
 * **Details** Sorts the batch's log-ratios of the chosen answers and of the rejected ones, pairs them by rank, and takes
 * DPO's loss of `beta` times the difference; which answers came as a pair is of no account. See `aot`.
 * **Source** Melnyk et al. 2024, arXiv 2406.05882; TRL's `loss_type="aot_unpaired"`.
 */
export const aotUnpaired = defineReferenced("aot-unpaired", {
  module: import.meta.url,
  description: "Alignment via optimal transport: stochastic dominance of chosen over rejected answers",
  params,
  make: unpaired,
  laws: [
    atReference("costs ln 2", unpaired({ beta: 0.3, labelSmoothing: 0.1 }), Math.LN2),
    seesOnlyLogRatios(unpaired({ beta: 0.3, labelSmoothing: 0.1 }))
  ]
})
