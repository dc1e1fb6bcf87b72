import { Positive, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { exponential, type Link, logistic } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { gap, implicitReward } from "../statistics.ts"

interface Options {
  readonly beta: number
  readonly tau: number
}

/** `(1 - m) logistic(z) + m exponential(z)`, `m = sigma(z / tau)`. */
const modulated =
  (tau: number): Link =>
  (z) => {
    const scaled = X.div(z, tau)
    return X.add(X.mul(X.sigmoid(X.neg(scaled)), logistic(z)), X.mul(X.sigmoid(scaled), exponential(z)))
  }

const objective = ({ beta, tau }: Options) => {
  const reward = implicitReward(beta)
  return { reward, loss: modulated(tau)(gap(reward)) }
}

/**
 * DiscoPOP, the log-ratio modulated loss that a language model discovered: logistic where the pair is wrong, exponential
 * where it is right, by a sigmoid of the gap.
 * **Details** `loss = (1 - m) (-ln sigma(z)) + m exp(-z)`, `m = sigma(z / tau)`, `z` the gap of implicit rewards, `tau > 0`.
 * `(1 + ln 2) / 2` where policy and reference agree.
 * **Gotchas** Not convex: with the default `tau` it has a local minimum at `z = -0.12`, and at `z = 0` its slope is positive, so
 * that a training that starts at the reference first moves pairs the wrong way.
 * **Source** Lu et al. 2024, arXiv 2406.08414, eq. 5; TRL's `loss_type="discopop"`.
 */
export const discopop = defineReferenced("discopop", {
  module: import.meta.url,
  description: "DiscoPOP: logistic and exponential loss, blended by the gap",
  params: { beta: Positive.pipe(withDefault(0.1)), tau: Positive.pipe(withDefault(0.05)) },
  make: objective,
  laws: [
    atReference("costs (1 + ln 2) / 2", objective({ beta: 0.3, tau: 0.5 }), (1 + Math.LN2) / 2),
    seesOnlyLogRatios(objective({ beta: 0.3, tau: 0.5 })),
    seesOnlyTheGap(objective({ beta: 0.3, tau: 0.5 }))
  ]
})
