import { Schema } from "effect"
import { NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import { add, mul } from "../algebra/Expression.ts"
import { hinge, logistic, smooth, squared } from "../links.ts"
import { defineReferenceFree } from "../Objective.ts"
import { gap, meanLogProb, negativeLogLikelihood, scaled, sumLogProb } from "../statistics.ts"
import { normalizationField } from "./fields.ts"
import { labelSmoothingField } from "./labelSmoothing.ts"

/**
 * Contrastive preference optimization: DPO as if the reference were uniform, with a term that clones the chosen answer.
 * **Details** `loss = preference - cpoAlpha ln policy(y_w) / |y_w|`. With `z = r_w - r_l`, `r = beta ln policy(y)`, the
 * preference is, by `link`: `"sigmoid"`: `-(1 - e) ln sigma(z) - e ln sigma(-z)`, `e = labelSmoothing`; `"hinge"`:
 * `max(0, 1 - z)`, smoothed likewise; `"ipo"`: `(z / beta - 1 / (2 beta))^2` where `r` takes the mean over an answer's tokens.
 * `beta > 0`, `cpoAlpha >= 0`. There is no reference.
 * **Gotchas** The paper's cloning term is the sum over the answer's tokens; TRL's, `normalization: "tokenMean"`, the mean over all
 * chosen tokens of the batch, which makes an item's loss depend on the batch around it.
 * **Source** Xu et al. 2024, arXiv 2401.08417; names and defaults of TRL's CPOTrainer.
 */
export const cpo = defineReferenceFree("cpo", {
  module: import.meta.url,
  description: "Contrastive preference optimization, with behaviour cloning of the chosen answer",
  params: {
    beta: Positive.pipe(withDefault(0.1)),
    cpoAlpha: NonNegative.pipe(withDefault(1)),
    labelSmoothing: labelSmoothingField,
    link: Schema.Literals(["sigmoid", "hinge", "ipo"]).pipe(withDefault("sigmoid")),
    normalization: normalizationField("sequenceMean")
  },
  make: ({ beta, cpoAlpha, labelSmoothing, link, normalization }) => {
    const logProb = link === "ipo" ? meanLogProb : sumLogProb
    const reward = scaled(beta, logProb)
    const preference =
      link === "ipo"
        ? squared(1 / (2 * beta))(gap(logProb))
        : smooth(labelSmoothing)(link === "hinge" ? hinge : logistic)(gap(reward))
    return {
      reward,
      loss: cpoAlpha === 0 ? preference : add(preference, mul(negativeLogLikelihood(normalization)("chosen"), cpoAlpha))
    }
  }
})
