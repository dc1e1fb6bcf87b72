import { Schema } from "effect"
import { Positive, Probability, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { squared } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios } from "../referenceLaws.ts"
import { scaled, sumLogRatio } from "../statistics.ts"

interface Options {
  readonly alpha: number
  readonly beta: number
  readonly labels: "hard" | "soft"
}

const objective = ({ alpha, beta, labels }: Options) => {
  const reward = scaled(beta, sumLogRatio)
  const p = labels === "soft" ? X.number("label", { minimum: 0, maximum: 1 }) : X.constant(1)
  const lead = X.sub(p, 0.5)
  const improving = (better: X.Role, draft: X.Role) => squared(lead)(X.sub(reward(better), reward(draft)))
  const generated = X.sub(X.add(reward("wl"), reward("chosen")), X.add(reward("lw"), reward("rejected")))
  const improver = X.add(improving("wl", "ll"), improving("ww", "lw"))
  const generator = squared(X.mul(lead, 2))(generated)
  return { reward, loss: X.add(X.mul(generator, 1 - alpha), X.mul(improver, alpha)) }
}

/**
 * Self-Improving Robust Preference Optimization: one policy answers and improves drafts; both solve a game whose solution
 * does not depend on how the pairs were sampled, and which its own optimality equations find.
 * **Details** With `I(b|a) = beta ln (policy / reference)` of answer b given draft a and `g` of an answer without draft:
 * `improver = (p - 1/2 - I(w|l) + I(l|l))^2 + (p - 1/2 - I(w|w) + I(l|w))^2`,
 * `generator = (2p - 1 - I(w|l) - g(w) + I(l|w) + g(l))^2`, `loss = (1 - alpha) generator + alpha improver`. The answers `wl`,
 * `ll`, `ww` and `lw` are named by answer, then draft. `p` is 1 for hard labels, for soft ones the number `label` in [0, 1]:
 * the probability that chosen beats rejected.
 * **Source** Choi et al. 2024, arXiv 2406.01660; defaults of an independent implementation for TRL.
 */
export const srpo = defineReferenced("srpo", {
  module: import.meta.url,
  description: "Self-Improving Robust Preference Optimization",
  params: {
    alpha: Probability.pipe(withDefault(0.8)),
    beta: Positive.pipe(withDefault(0.01)),
    labels: Schema.Literals(["hard", "soft"]).pipe(withDefault("hard"))
  },
  make: objective,
  laws: [
    atReference("costs 1 - alpha / 2", objective({ alpha: 0.8, beta: 0.3, labels: "hard" }), 0.6),
    seesOnlyLogRatios(objective({ alpha: 0.8, beta: 0.3, labels: "soft" }))
  ]
})
