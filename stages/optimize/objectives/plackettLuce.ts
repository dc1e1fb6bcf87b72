import { Positive, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { group, scaled, sumLogRatio } from "../statistics.ts"
import { answersField } from "./fields.ts"

const objective = ({ answers, beta }: { readonly answers: number; readonly beta: number }) => {
  const reward = scaled(beta, sumLogRatio)
  const ranked = group(answers).map(reward)
  const first = (rest: ReadonlyArray<X.Expression>) => X.sub(X.logSumExp(rest), rest[0]!)
  return { reward, loss: X.sum(ranked.slice(1).map((_, k) => first(ranked.slice(k)))) }
}

/**
 * DPO for rankings: the likelihood of a whole order under Plackett-Luce, by implicit rewards `r = beta ln (policy /
 * reference)`.
 * **Details** `loss = sum_k ln sum_{j >= k} exp(r_j - r_k)` over the answers `answer0` (the best), `answer1`, … (the worst
 * last). Two answers are DPO. `ln K!` where policy and reference agree.
 * **Source** Rafailov et al. 2023, arXiv 2305.18290, on Plackett-Luce.
 */
export const plackettLuce = defineReferenced("plackett-luce", {
  module: import.meta.url,
  description: "DPO for rankings of several answers",
  params: { answers: answersField, beta: Positive.pipe(withDefault(0.1)) },
  make: objective,
  laws: [
    atReference("costs ln K!", objective({ answers: 4, beta: 0.3 }), Math.log(24)),
    seesOnlyLogRatios(objective({ answers: 3, beta: 0.3 })),
    seesOnlyTheGap(objective({ answers: 3, beta: 0.3 }))
  ]
})
