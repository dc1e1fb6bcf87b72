import { Positive, withDefault } from "../../../dsl/Params.ts"
import { add, neg, sigmoid } from "../algebra/Expression.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios } from "../referenceLaws.ts"
import { gap, implicitReward } from "../statistics.ts"

interface Options {
  readonly beta: number
}

const zero = ({ beta }: Options) => {
  const reward = implicitReward(beta)
  return { reward, loss: add(sigmoid(neg(reward("chosen"))), sigmoid(reward("rejected"))) }
}

const down = ({ beta }: Options) => {
  const reward = implicitReward(beta)
  return { reward, loss: add(sigmoid(reward("chosen")), sigmoid(neg(gap(reward)))) }
}

const params = { beta: Positive.pipe(withDefault(0.1)) }

/**
 * Anchored preference optimization for chosen answers that are better than the model's own: raises their likelihood and
 * lowers the rejected ones'.
 * **Details** `loss = 1 - sigma(r_w) + sigma(r_l)`, `r` the implicit reward; in (0, 2), 1 where policy and reference agree.
 * **Source** D'Oosterlinck et al. 2024, arXiv 2408.06266, eq. 7; TRL's `loss_type="apo_zero"`.
 */
export const apoZero = defineReferenced("apo-zero", {
  module: import.meta.url,
  description: "Anchored preference optimization: chosen answers up, rejected ones down",
  params,
  make: zero,
  laws: [atReference("costs 1", zero({ beta: 0.3 }), 1), seesOnlyLogRatios(zero({ beta: 0.3 }))]
})

/**
 * Anchored preference optimization for chosen answers that are worse than the model's own: lowers both likelihoods, the
 * rejected ones' more.
 * **Details** `loss = sigma(r_w) + 1 - sigma(r_w - r_l)`, `r` the implicit reward; in (0, 2), 1 where policy and reference
 * agree. The chosen answer's pull is 0 there.
 * **Source** D'Oosterlinck et al. 2024, arXiv 2408.06266, eq. 8; TRL's `loss_type="apo_down"`.
 */
export const apoDown = defineReferenced("apo-down", {
  module: import.meta.url,
  description: "Anchored preference optimization: both answers down, rejected ones more",
  params,
  make: down,
  laws: [atReference("costs 1", down({ beta: 0.3 }), 1), seesOnlyLogRatios(down({ beta: 0.3 }))]
})
