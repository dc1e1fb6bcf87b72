import { Positive, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { logistic } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios } from "../referenceLaws.ts"
import { implicitReward, type Statistic } from "../statistics.ts"
import { momentumField } from "./momentum.ts"

/** `-ln sigma(r_w - delta) - ln sigma(delta - r_l)`: which side of `delta` is an answer on? */
const classified = (reward: Statistic, delta: X.Operand) =>
  X.add(logistic(X.sub(reward("chosen"), delta)), logistic(X.sub(delta, reward("rejected"))))

const unshifted = ({ beta }: { readonly beta: number }) => {
  const reward = implicitReward(beta)
  return { reward, loss: classified(reward, 0) }
}

/**
 * Binary classifier optimization of pairs, without a reward shift.
 * **Details** `loss = -ln sigma(r_w) - ln sigma(-r_l)`, `r` the implicit reward. `2 ln 2` where policy and reference agree.
 * Bounds DPO's loss from above.
 * **Source** Jung et al. 2024, arXiv 2404.04656, with `delta = 0`; TRL's `loss_type="bco_pair"`, which in earlier versions
 * had a shift.
 */
export const bcoPair = defineReferenced("bco-pair", {
  module: import.meta.url,
  description: "Binary classifier optimization of pairs",
  params: { beta: Positive.pipe(withDefault(0.1)) },
  make: unshifted,
  laws: [
    atReference("costs 2 ln 2", unshifted({ beta: 0.3 }), 2 * Math.LN2),
    seesOnlyLogRatios(unshifted({ beta: 0.3 }))
  ]
})

const shifted = ({ beta, momentum }: { readonly beta: number; readonly momentum: number }) => {
  const reward = implicitReward(beta)
  const delta = X.movingMean("bco/delta", X.mean([reward("chosen"), reward("rejected")]), momentum)
  return { reward, loss: classified(reward, delta) }
}

/**
 * Binary classifier optimization with its reward shift: chosen answers above, rejected ones below the mean reward so far.
 * **Details** `loss = -ln sigma(r_w - delta) - ln sigma(delta - r_l)`, `r` the implicit reward. `delta`, which carries no
 * gradient, is the moving mean over steps of the batch's mean reward of both sides, this step's included; `momentum` in
 * [0, 1), 0 takes this batch alone. `2 ln 2` where policy and reference agree.
 * **Gotchas** TRL's BCOTrainer takes the mean of all steps so far, with equal weights, and the mean over the two sides
 * where this takes their sum.
 * **Source** Jung et al. 2024, arXiv 2404.04656.
 */
export const bco = defineReferenced("bco", {
  module: import.meta.url,
  description: "Binary classifier optimization with a moving reward shift",
  params: { beta: Positive.pipe(withDefault(0.1)), momentum: momentumField },
  make: shifted,
  laws: [
    atReference("costs 2 ln 2", shifted({ beta: 0.3, momentum: 0.5 }), 2 * Math.LN2),
    seesOnlyLogRatios(shifted({ beta: 0.3, momentum: 0.5 }))
  ]
})
