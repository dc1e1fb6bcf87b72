import { Schema } from "effect"
import { NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { hinge, logistic } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { gap, numberOf, perRole, scaled, sumLogRatio } from "../statistics.ts"

interface Options {
  readonly beta: number
  readonly weight: number
  readonly marginWeight?: number
  readonly link: "sigmoid" | "hinge"
}

const objective = ({ beta, link, weight, marginWeight = 1 - weight }: Options) => {
  const reward = scaled(beta, sumLogRatio)
  const margin = numberOf("margin", { minimum: -2, maximum: 2 })
  const own = perRole((role) => X.div(X.sub(reward(role), X.mul(margin(role), marginWeight)), weight))
  return { reward, loss: (link === "hinge" ? hinge : logistic)(gap(own)) }
}

/**
 * Multi-Objective DPO: the policy's implicit reward `r = beta ln (policy / reference)` is the weighted sum of all rewards;
 * what the others leave of it, the pair's own, is fitted to the pair's preferences.
 * **Details** `z = [(r_w - r_l) - v (m_w - m_l)] / weight`, `loss = -ln sigma(z)`, or `max(0, 1 - z)`. `m` are the numbers
 * `marginChosen` and `marginRejected`, the other objectives' reward of each answer; `v = marginWeight` is `1 - weight` unless
 * told, and 1 for numbers that are weighted sums already. `weight` of the pair's own objective in [0.05, 1]: at 1 it is DPO.
 * **Gotchas** Weights compare rewards only where these are of one scale.
 * **Source** Zhou et al. 2023, arXiv 2310.03708; defaults of ZHZisZZ/modpo.
 */
export const modpo = defineReferenced("modpo", {
  module: import.meta.url,
  description: "Multi-Objective DPO: other objectives' rewards as a margin",
  params: {
    beta: Positive.pipe(withDefault(0.1)),
    weight: Schema.Finite.check(Schema.isBetween({ minimum: 0.05, maximum: 1 })).pipe(withDefault(0.5)),
    marginWeight: Schema.optionalKey(NonNegative),
    link: Schema.Literals(["sigmoid", "hinge"]).pipe(withDefault("sigmoid"))
  },
  make: objective,
  laws: [
    seesOnlyLogRatios(objective({ beta: 0.3, weight: 0.4, link: "sigmoid" })),
    seesOnlyTheGap(objective({ beta: 0.3, weight: 0.4, link: "sigmoid" }))
  ]
})
