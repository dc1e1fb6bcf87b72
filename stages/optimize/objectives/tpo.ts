import { Schema } from "effect"
import { NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import { sub } from "../algebra/Expression.ts"
import { hinge, logistic, plus, smooth, squared } from "../links.ts"
import { defineReferenceFree } from "../Objective.ts"
import { gap, meanLogProb, negativeLogLikelihood, scaled, sumLogProb } from "../statistics.ts"
import { normalizationField } from "./fields.ts"
import { labelSmoothingField } from "./labelSmoothing.ts"

/** Weight and normalization of the gold answer's log-likelihood. */
const goldFields = { alpha: NonNegative.pipe(withDefault(0.9)), normalization: normalizationField("tokenMean") }

/**
 * Triple Preference Optimization: a contrast of the chosen and the rejected answer's log-probabilities, and supervised
 * learning of a third answer better than both. There is no reference policy.
 * **Details** `d = ln policy(y_w) - ln policy(y_l)`, `loss = link(beta d) + alpha (-ln policy(y_gold))`, the last a mean over
 * all tokens of the batch's `gold` answers unless told otherwise. `link: "sigmoid"` is `-ln sigma`, smoothed by
 * `labelSmoothing`; `"hinge"` is `max(0, 1 - beta d)`; `"ipo"` is `(d - 1 / (2 beta))^2` with means over tokens in `d`, neither
 * smoothed. At `alpha` 0 no gold answer is read.
 * **Source** Saeidi et al. 2024, arXiv 2405.16681; defaults of sahsaeedi/triple-preference-optimization, README.
 */
export const tpo = defineReferenceFree("tpo", {
  module: import.meta.url,
  description: "Triple Preference Optimization: a contrast and a gold answer, without a reference",
  params: {
    beta: Positive.pipe(withDefault(0.2)),
    labelSmoothing: labelSmoothingField,
    link: Schema.Literals(["sigmoid", "hinge", "ipo"]).pipe(withDefault("sigmoid")),
    ...goldFields
  },
  make: ({ alpha, beta, labelSmoothing, link, normalization }) => {
    const reward = scaled(beta, link === "ipo" ? meanLogProb : sumLogProb)
    const contrasts = {
      sigmoid: () => smooth(labelSmoothing)(logistic)(gap(reward)),
      hinge: () => hinge(gap(reward)),
      ipo: () => squared(1 / (2 * beta))(gap(meanLogProb))
    }
    return { reward, loss: plus(contrasts[link](), alpha, negativeLogLikelihood(normalization)("gold")) }
  }
})

/**
 * TPO by means over tokens and with a margin.
 * **Details** `loss = -ln sigma(beta (ln policy(y_w) / |y_w| - ln policy(y_l) / |y_l|) - gamma) + alpha (-ln policy(y_gold))`, the
 * last as in `tpo`. At `alpha` 0 it is SimPO with margin `gamma`.
 * **Source** Saeidi et al. 2024, arXiv 2405.16681, later version (TPO-L).
 */
export const tpoL = defineReferenceFree("tpo-l", {
  module: import.meta.url,
  description: "Triple Preference Optimization, length-normalized, with a margin",
  params: { beta: Positive.pipe(withDefault(0.2)), gamma: NonNegative.pipe(withDefault(0.5)), ...goldFields },
  make: ({ alpha, beta, gamma, normalization }) => {
    const reward = scaled(beta, meanLogProb)
    return {
      reward,
      loss: plus(logistic(sub(gap(reward), gamma)), alpha, negativeLogLikelihood(normalization)("gold"))
    }
  }
})
