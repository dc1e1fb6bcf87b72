import { Schema } from "effect"
import { Positive, withDefault } from "../../../dsl/Params.ts"
import { div, head, sub } from "../algebra/Expression.ts"
import { logistic } from "../links.ts"
import { defineReferenceFree } from "../Objective.ts"
import { gap, perRole } from "../statistics.ts"

/**
 * A reward model after Bradley and Terry: the head's one output is the answer's reward.
 * **Details** `loss = -ln sigma((r_w - r_l - margin) / tau)`, `tau > 0` in units of the reward. The reward is free up to a
 * constant.
 * **Source** Bradley and Terry 1952; Ouyang et al. 2022, arXiv 2203.02155, eq. 1.
 */
export const bradleyTerry = defineReferenceFree("bradley-terry", {
  module: import.meta.url,
  description: "A scalar reward model by the Bradley-Terry likelihood",
  params: { tau: Positive.pipe(withDefault(1)), margin: Schema.Finite.pipe(withDefault(0)) },
  make: ({ margin, tau }) => {
    const reward = perRole((role) => head(role))
    return { reward, loss: logistic(div(sub(gap(reward), margin), tau)) }
  }
})
