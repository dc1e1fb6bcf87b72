import { Schema } from "effect"
import { Positive, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { type Link, logistic } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { gap, implicitReward } from "../statistics.ts"

interface Options {
  readonly beta: number
  readonly labelSmoothing: number
}

/** `KL(sigma(z), 1 - sigma(z) || 1 - epsilon, epsilon)`. */
const reverseKl =
  (epsilon: number): Link =>
  (z) => {
    const chosen = X.mul(X.sigmoid(z), X.sub(X.neg(logistic(z)), Math.log1p(-epsilon)))
    const rejected = X.mul(X.sigmoid(X.neg(z)), X.sub(X.neg(logistic(X.neg(z))), Math.log(epsilon)))
    return X.add(chosen, rejected)
  }

const objective = ({ beta, labelSmoothing }: Options) => {
  const reward = implicitReward(beta)
  return { reward, loss: reverseKl(labelSmoothing)(gap(reward)) }
}

/**
 * Exact preference optimization of pairs: reverse instead of forward divergence from the policy's own preference to the
 * labels, smoothed.
 * **Details** With `q = sigma(z)`, `z` the gap of implicit rewards, and `e = labelSmoothing` in (0, 1/2]:
 * `loss = q ln (q / (1 - e)) + (1 - q) ln ((1 - q) / e)`, at least 0, and 0 at `q = 1 - e`.
 * **Gotchas** Its slope vanishes in `z` towards both ends: a pair that is far wrong is pulled by almost nothing.
 * **Source** Ji et al. 2024, arXiv 2402.00856, eq. 16; TRL's `loss_type="exo_pair"`.
 */
export const exoPair = defineReferenced("exo-pair", {
  module: import.meta.url,
  description: "Exact preference optimization of pairs: reverse divergence to smoothed labels",
  params: {
    beta: Positive.pipe(withDefault(0.1)),
    labelSmoothing: Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(0.5)).pipe(
      withDefault(1e-3)
    )
  },
  make: objective,
  laws: [
    seesOnlyLogRatios(objective({ beta: 0.3, labelSmoothing: 0.01 })),
    seesOnlyTheGap(objective({ beta: 0.3, labelSmoothing: 0.01 }))
  ]
})
