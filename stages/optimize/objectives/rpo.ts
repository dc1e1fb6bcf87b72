import { Schema } from "effect"
import { NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import { logistic, plus } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { gap, type Normalization, negativeLogLikelihood, scaled, sumLogRatio } from "../statistics.ts"
import { normalizationField } from "./fields.ts"

interface Options {
  readonly beta: number
  readonly eta: number
  readonly normalization: Normalization
  readonly baseline: string
}

const objective = ({ baseline, beta, eta, normalization }: Options) => {
  const reward = scaled(beta, sumLogRatio)
  const weight = normalization === "sum" ? eta * beta : eta
  return { reward, loss: plus(logistic(gap(reward)), weight, negativeLogLikelihood(normalization)(baseline)) }
}

/**
 * Regularized Preference Optimization: DPO against an adversarially chosen reward, which comes to DPO and a supervised term
 * on baseline answers.
 * **Details** `loss = -ln sigma(r_w - r_l) + eta beta (-ln policy(y_base))`, `r = beta ln (policy / reference)`. With
 * `normalization` `sequenceMean` or `tokenMean` the term is `eta` times a mean over the answer's, or the batch's, tokens.
 * `baseline` names the answer: the chosen one, or one of the pair's others. `eta = 0` is DPO.
 * **Source** Liu et al. 2024, arXiv 2405.16436; YSLIU627/Regularized-Preference-Optimization, which takes `eta = 0.005` and
 * `beta = 0.01` with `sum`, 0.2 and 0.5 with `sequenceMean`. The default `eta` is for short runs.
 */
export const rpo = defineReferenced("rpo", {
  module: import.meta.url,
  description: "Regularized Preference Optimization: DPO with a supervised term",
  params: {
    beta: Positive.pipe(withDefault(0.1)),
    eta: NonNegative.pipe(withDefault(1)),
    normalization: normalizationField("sum"),
    baseline: Schema.NonEmptyString.pipe(withDefault("chosen"))
  },
  make: objective
})
