import { neg, relu, sub } from "../algebra/Expression.ts"
import { defineReferenceFree } from "../Objective.ts"
import { gap, meanLogProb, sumLogProb } from "../statistics.ts"

/**
 * Rank responses to align with human feedback, for two answers: an order of mean log-probabilities against the preference
 * costs their difference, and the better answer is learned. There is no reference.
 * **Details** `loss = max(0, x_l - x_w) - ln policy(y_w)`, `x = ln policy(y) / |y|`.
 * **Source** Yuan et al. 2023, arXiv 2304.05302.
 */
export const rrhf = defineReferenceFree("rrhf", {
  module: import.meta.url,
  description: "Rank responses to align with human feedback, for pairs",
  params: {},
  make: () => ({ reward: meanLogProb, loss: sub(relu(neg(gap(meanLogProb))), sumLogProb("chosen")) })
})
