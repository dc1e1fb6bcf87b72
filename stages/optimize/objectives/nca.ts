import { Positive, withDefault } from "../../../dsl/Params.ts"
import { add, mul, neg } from "../algebra/Expression.ts"
import { logistic } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios } from "../referenceLaws.ts"
import { implicitReward } from "../statistics.ts"

const objective = ({ beta }: { readonly beta: number }) => {
  const reward = implicitReward(beta)
  const noise = add(logistic(neg(reward("chosen"))), logistic(neg(reward("rejected"))))
  return { reward, loss: add(logistic(reward("chosen")), mul(noise, 0.5)) }
}

/**
 * Noise contrastive alignment of pairs: tells the chosen answer from both answers as noise, so that its likelihood does not
 * fall with the rejected one's.
 * **Details** `loss = -ln sigma(r_w) - (ln sigma(-r_w) + ln sigma(-r_l)) / 2`, `r` the implicit reward. `2 ln 2` where
 * policy and reference agree. Sees the rewards, not only their gap.
 * **Source** Chen et al. 2024, arXiv 2402.05369, for two answers; TRL's `loss_type="nca_pair"`.
 */
export const ncaPair = defineReferenced("nca-pair", {
  module: import.meta.url,
  description: "Noise contrastive alignment of pairs",
  params: { beta: Positive.pipe(withDefault(0.1)) },
  make: objective,
  laws: [
    atReference("costs 2 ln 2", objective({ beta: 0.3 }), 2 * Math.LN2),
    seesOnlyLogRatios(objective({ beta: 0.3 }))
  ]
})
