import { Schema } from "effect"
import { Positive, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { logistic } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios } from "../referenceLaws.ts"
import { gap, perRole, type Statistic, scaled, sumLogRatio } from "../statistics.ts"

type Divergence = "reverse_kl" | "forward_kl" | "jsd" | "alpha"

interface Options {
  readonly beta: number
  readonly divergence: Divergence
  readonly alpha: number
}

/** Beyond it the exponential stays as it is, without a gradient: `e^80` is near the largest float32. */
const LARGEST_EXPONENT = 80

/** `(1 - u^-a) / a` of `u = e^l`: the log-ratio itself as a -> 0. */
const power = (a: number): Statistic =>
  perRole((role) => X.div(X.neg(X.expm1(X.minimum(X.mul(sumLogRatio(role), -a), LARGEST_EXPONENT))), a))

const derivative = (divergence: Divergence, alpha: number): Statistic =>
  ({
    reverse_kl: sumLogRatio,
    forward_kl: power(1),
    jsd: perRole((role) => X.sub(Math.LN2, X.softplus(X.neg(sumLogRatio(role))))),
    alpha: power(alpha)
  })[divergence]

const objective = ({ alpha, beta, divergence }: Options) => {
  const reward = scaled(beta, derivative(divergence, alpha))
  return { reward, loss: logistic(gap(reward)) }
}

/**
 * f-DPO: DPO with another divergence in place of the reverse KL; the implicit reward is `beta f'(policy / reference)`.
 * **Details** `loss = -ln sigma(r_w - r_l)`. With the log-ratio `l`, summed over tokens, `r / beta` is `l` (`reverse_kl`, which
 * is DPO), `1 - e^-l` (`forward_kl`), `ln 2 - ln (1 + e^-l)` (`jsd`) or `(1 - e^(-alpha l)) / alpha` (`alpha`, in (0, 1): 0 is
 * the reverse and 1 the forward KL). Exponents above 80 stay at 80 and carry no gradient. The other divergences have no use
 * for `alpha`.
 * **Gotchas** This `jsd` is twice the Jensen-Shannon divergence, and half as curved at the reference as the others: equal
 * `beta` are not equal strengths. TRL's alpha is 1 less this one.
 * **Source** Wang et al. 2023, arXiv 2309.16240; defaults of alecwangcq/f-divergence-dpo.
 */
export const fDpo = defineReferenced("f-dpo", {
  module: import.meta.url,
  description: "DPO with reverse KL, forward KL, Jensen-Shannon or alpha-divergence",
  params: {
    beta: Positive.pipe(withDefault(0.1)),
    divergence: Schema.Literals(["reverse_kl", "forward_kl", "jsd", "alpha"]).pipe(withDefault("reverse_kl")),
    alpha: Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThan(1)).pipe(withDefault(0.5))
  },
  make: objective,
  laws: (["reverse_kl", "forward_kl", "jsd", "alpha"] as const).flatMap((divergence) => [
    atReference(`${divergence} costs ln 2`, objective({ beta: 0.1, divergence, alpha: 0.5 }), Math.LN2),
    seesOnlyLogRatios(objective({ beta: 0.1, divergence, alpha: 0.5 }))
  ])
})
