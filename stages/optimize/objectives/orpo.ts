import { NonNegative, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { logistic } from "../links.ts"
import { defineReferenceFree } from "../Objective.ts"
import { gap, meanLogProb, negativeLogLikelihood, perRole } from "../statistics.ts"
import { normalizationField } from "./fields.ts"

/** Nearer to certainty than this, in nats a token, an answer's odds grow no more: at 0 they are infinite. */
const CERTAIN = -(2 ** -20)

/** `ln (p / (1 - p))`, `p` the geometric mean of the tokens' probabilities. */
const logOdds = perRole((role) => {
  const logProb = X.minimum(meanLogProb(role), CERTAIN)
  return X.sub(logProb, X.log(X.neg(X.expm1(logProb))))
})

/**
 * Odds ratio preference optimization: fine-tunes on the chosen answer and, by the way, raises its odds over the rejected
 * one's. There is no reference.
 * **Details** `loss = -x_w - lambda ln sigma(lo_w - lo_l)`, `x = ln policy(y) / |y|`, `lo = x - ln (1 - e^x)`, `lambda >= 0`
 * (TRL names it `beta`). Odds stay finite: `x` counts as at most -2^-20 in them.
 * **Gotchas** TRL's first term, `normalization: "tokenMean"`, is a mean over all tokens of the batch.
 * **Source** Hong et al. 2024, arXiv 2403.07691, eq. 4 and 7; TRL's ORPOTrainer.
 */
export const orpo = defineReferenceFree("orpo", {
  module: import.meta.url,
  description: "Odds ratio preference optimization",
  params: { lambda: NonNegative.pipe(withDefault(0.1)), normalization: normalizationField("sequenceMean") },
  make: ({ lambda, normalization }) => ({
    reward: meanLogProb,
    loss: X.add(negativeLogLikelihood(normalization)("chosen"), X.mul(logistic(gap(logOdds)), lambda))
  })
})
