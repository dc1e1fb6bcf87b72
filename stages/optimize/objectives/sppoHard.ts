import { Positive, withDefault } from "../../../dsl/Params.ts"
import { add } from "../algebra/Expression.ts"
import { squared } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios } from "../referenceLaws.ts"
import { implicitReward, sumLogRatio } from "../statistics.ts"

const objective = ({ beta }: { readonly beta: number }) => ({
  reward: implicitReward(beta),
  loss: add(squared(0.5 / beta)(sumLogRatio("chosen")), squared(-0.5 / beta)(sumLogRatio("rejected")))
})

/**
 * Self-play preference optimization with hard labels: the chosen answer's win rate counts as 1, the rejected one's as 0.
 * **Details** `loss = (a - 1 / (2 beta))^2 + (c + 1 / (2 beta))^2`, `a` and `c` the log-ratios of the chosen and the rejected
 * answer, in nats squared. `1 / (2 beta^2)` where policy and reference agree. `beta > 0` is the paper's `1 / eta`.
 * **Source** Wu et al. 2024, arXiv 2405.00675, eq. 4.7 with win rates 1 and 0; TRL's `loss_type="sppo_hard"`.
 */
export const sppoHard = defineReferenced("sppo-hard", {
  module: import.meta.url,
  description: "Self-play preference optimization with hard labels",
  params: { beta: Positive.pipe(withDefault(0.1)) },
  make: objective,
  laws: [atReference("costs 1 / (2 beta^2)", objective({ beta: 0.5 }), 2), seesOnlyLogRatios(objective({ beta: 0.5 }))]
})
