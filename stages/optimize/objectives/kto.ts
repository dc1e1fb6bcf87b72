import { NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios } from "../referenceLaws.ts"
import { implicitReward, sumLogRatio } from "../statistics.ts"

interface Options {
  readonly beta: number
  readonly desirableWeight: number
  readonly undesirableWeight: number
}

const objective = ({ beta, desirableWeight, undesirableWeight }: Options) => {
  const reward = implicitReward(beta)
  const divergence = X.stopGradient(X.relu(X.batchMean(sumLogRatio("mismatched"))))
  const gain = X.sub(reward("chosen"), X.mul(divergence, beta))
  const loss = X.sub(X.mul(divergence, beta), reward("rejected"))
  // 1 - sigma(v) = sigma(-v)
  const desirable = X.mul(X.sigmoid(X.neg(gain)), desirableWeight)
  const undesirable = X.mul(X.sigmoid(X.neg(loss)), undesirableWeight)
  return { reward, loss: X.mean([desirable, undesirable]) }
}

/**
 * Kahneman-Tversky optimization: gains and losses against a reference point, each answer for itself.
 * **Details** `loss = (lambda_D (1 - sigma(beta (a - z0))) + lambda_U (1 - sigma(beta (z0 - c)))) / 2`: the mean over both
 * answers of a pair, `a` and `c` the chosen and the rejected one's log-ratio, `lambda_D = desirableWeight`, `lambda_U =
 * undesirableWeight`. `z0 = max(0, mean over the batch of the log-ratios of the answers mismatched)` estimates the policy's
 * divergence from the reference in nats and carries no gradient. `(lambda_D + lambda_U) / 4` where both agree.
 * **Gotchas** Pairs must come with `others.mismatched`, an answer to another prompt: `pair.mismatch` gives them. Other than
 * in the paper both sides are equally many, as pairs are.
 * **Source** Ethayarajh et al. 2024, arXiv 2402.01306; TRL's KTOTrainer.
 */
export const kto = defineReferenced("kto", {
  module: import.meta.url,
  description: "Kahneman-Tversky optimization",
  params: {
    beta: Positive.pipe(withDefault(0.1)),
    desirableWeight: NonNegative.pipe(withDefault(1)),
    undesirableWeight: NonNegative.pipe(withDefault(1))
  },
  make: objective,
  laws: [
    atReference("costs 3/4", objective({ beta: 0.3, desirableWeight: 1, undesirableWeight: 2 }), 0.75),
    seesOnlyLogRatios(objective({ beta: 0.3, desirableWeight: 1, undesirableWeight: 2 }))
  ]
})
