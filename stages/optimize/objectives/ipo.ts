import { Schema } from "effect"
import { Positive, withDefault } from "../../../dsl/Params.ts"
import { squared } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { gap, meanLogRatio, scaled, sumLogRatio } from "../statistics.ts"

interface Options {
  readonly tau: number
  readonly lengthNormalized: boolean
}

const objective = ({ lengthNormalized, tau }: Options) => {
  const logRatio = lengthNormalized ? meanLogRatio : sumLogRatio
  return { reward: scaled(tau, logRatio), loss: squared(1 / (2 * tau))(gap(logRatio)) }
}

/**
 * Identity Preference Optimization: draws the gap of log-ratios `z` to `1 / (2 tau)` instead of to infinity.
 * **Details** `loss = (z - 1 / (2 tau))^2`, `z = ln (policy / reference)(y_w) - ln (policy / reference)(y_l)`, `tau > 0`;
 * in nats squared, so its scale depends on `tau`. The implicit reward is `tau ln (policy / reference)`: at the minimum the
 * chosen answer leads by 1/2.
 * **Gotchas** Sums over tokens, as the equation has it: the target does not grow with length. `lengthNormalized: true`
 * divides each side by its own number of tokens first, as TRL's `loss_type="ipo"` does (there `tau` is named `beta`).
 * **Source** Azar et al. 2023, arXiv 2310.12036, eq. 17.
 */
export const ipo = defineReferenced("ipo", {
  module: import.meta.url,
  description: "Identity Preference Optimization",
  params: { tau: Positive.pipe(withDefault(0.1)), lengthNormalized: Schema.Boolean.pipe(withDefault(false)) },
  make: objective,
  laws: [
    atReference("costs 1 / (2 tau)^2", objective({ tau: 0.25, lengthNormalized: false }), 4),
    seesOnlyLogRatios(objective({ tau: 0.25, lengthNormalized: false })),
    seesOnlyTheGap(objective({ tau: 0.25, lengthNormalized: false })),
    seesOnlyLogRatios(objective({ tau: 0.25, lengthNormalized: true }))
  ]
})
