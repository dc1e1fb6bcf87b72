import { Positive, withDefault } from "../../../dsl/Params.ts"
import { sigmoid, sub } from "../algebra/Expression.ts"
import { logistic, smooth } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { gap, numberOf, scaled, sumLogRatio } from "../statistics.ts"

const winRate = numberOf("winRate", { minimum: 0, maximum: 1 })

const objective = ({ eta }: { readonly eta: number }) => {
  const reward = scaled(eta, sumLogRatio)
  const wrong = sigmoid(sub(winRate("rejected"), winRate("chosen")))
  return { reward, loss: smooth(wrong)(logistic)(gap(reward)) }
}

/**
 * Direct Nash Optimization: the gap of implicit rewards `r = eta ln (policy / reference)` is fitted by logistic regression to
 * the gap of the answers' win rates against the reference, the policy before this round.
 * **Details** `loss = -sigma(d) ln sigma(z) - sigma(-d) ln sigma(-z)`, `z = r_w - r_l`, `d` the number `winRateChosen` less
 * `winRateRejected`, both in [0, 1]; least at `z = d`. Its practical form, DNO-Prct, is `dpo` on chosen pairs.
 * **Source** Rosset et al. 2024, arXiv 2404.03715, algorithm 1.
 */
export const dno = defineReferenced("dno", {
  module: import.meta.url,
  description: "Direct Nash Optimization: implicit rewards fitted to win rates",
  params: { eta: Positive.pipe(withDefault(1)) },
  make: objective,
  laws: [
    atReference("costs ln 2", objective({ eta: 0.7 }), Math.LN2),
    seesOnlyLogRatios(objective({ eta: 0.7 })),
    seesOnlyTheGap(objective({ eta: 0.7 }))
  ]
})
