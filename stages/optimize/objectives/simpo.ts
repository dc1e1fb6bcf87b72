import { Schema } from "effect"
import { NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import { sub } from "../algebra/Expression.ts"
import { hinge, logistic, smooth } from "../links.ts"
import { defineReferenceFree } from "../Objective.ts"
import { gap, meanLogProb, scaled } from "../statistics.ts"
import { labelSmoothingField } from "./labelSmoothing.ts"

/**
 * Simple Preference Optimization: the answer's mean log-probability is its own reward, `r = beta ln policy(y) / |y|`, and
 * the chosen one has to lead by a margin. There is no reference.
 * **Details** With `z = r_w - r_l - beta gammaBetaRatio`: `link: "sigmoid"` is `-(1 - e) ln sigma(z) - e ln sigma(-z)`,
 * `e = labelSmoothing` in [0, 1/2]; `"hinge"` is `max(0, 1 - z)`, smoothed likewise. `beta > 0`, in tokens a nat.
 * **Gotchas** The released code ignores label smoothing with the hinge; here it smooths both.
 * **Source** Meng et al. 2024, arXiv 2405.14734; defaults of princeton-nlp/SimPO, simpo_config.py.
 */
export const simpo = defineReferenceFree("simpo", {
  module: import.meta.url,
  description: "Simple Preference Optimization: length-normalized, without a reference, with a target margin",
  params: {
    beta: Positive.pipe(withDefault(2)),
    gammaBetaRatio: NonNegative.pipe(withDefault(0.25)),
    labelSmoothing: labelSmoothingField,
    link: Schema.Literals(["sigmoid", "hinge"]).pipe(withDefault("sigmoid"))
  },
  make: ({ beta, gammaBetaRatio, labelSmoothing, link }) => {
    const reward = scaled(beta, meanLogProb)
    const smoothed = smooth(labelSmoothing)(link === "hinge" ? hinge : logistic)
    return { reward, loss: smoothed(sub(gap(reward), beta * gammaBetaRatio)) }
  }
})
