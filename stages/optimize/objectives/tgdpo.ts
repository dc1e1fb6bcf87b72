import { Schema } from "effect"
import { NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { logistic } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference } from "../referenceLaws.ts"
import { scaled, sumLogRatio, tokenLogRatio } from "../statistics.ts"

interface Options {
  readonly alpha: number
  readonly beta: number
  readonly clampWeights?: { readonly minimum: number; readonly maximum: number }
}

const objective = ({ alpha, beta, clampWeights }: Options) => {
  const guided = (role: X.Role, sign: number) => {
    const tokenReward = X.mul(X.sub(X.logProbs(role, "guide"), X.logProbs(role, "reference")), beta)
    const weight = X.add(X.mul(tokenReward, sign * alpha), 1)
    const clamped =
      clampWeights === undefined ? weight : X.minimum(X.maximum(weight, clampWeights.minimum), clampWeights.maximum)
    return X.mul(X.sumTokens(X.mul(clamped, tokenLogRatio(role))), beta)
  }
  return { reward: scaled(beta, sumLogRatio), loss: logistic(X.sub(guided("chosen", 1), guided("rejected", -1))) }
}

/**
 * DPO with token-level guidance: a trained policy, the guide, says by its own log-ratio which tokens of the chosen answer to
 * push up harder, and which of the rejected one to push down less.
 * **Details** `r_t = beta (ln guide(y_t) - ln reference(y_t))`, `f_t = 1 + alpha r_t` of chosen tokens and `1 - alpha r_t` of
 * rejected ones; `loss = -ln sigma(beta sum_t f_t l_t(w) - beta sum_t f_t l_t(l))` with the policy's token log-ratios `l_t`.
 * Implicit rewards are DPO's. `alpha = 0`, or the reference for guide, is DPO.
 * **Gotchas** Weights can be negative, as in the released code; `clampWeights` bounds them.
 * **Source** Zhu et al. 2025, arXiv 2506.14574; defaults of dvlab-research/TGDPO.
 */
export const tgdpo = defineReferenced("tgdpo", {
  module: import.meta.url,
  description: "DPO with token-level reward guidance",
  params: {
    alpha: NonNegative.pipe(withDefault(0.5)),
    beta: Positive.pipe(withDefault(0.1)),
    clampWeights: Schema.optionalKey(Schema.Struct({ minimum: Schema.Finite, maximum: Schema.Finite }))
  },
  make: objective,
  laws: [atReference("costs ln 2", objective({ alpha: 0.5, beta: 0.3 }), Math.LN2)]
})
