import { Positive, Probability, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { logistic, smooth } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { gap, perRole, scaled, sumLogRatio, tokenLogRatio } from "../statistics.ts"
import { labelSmoothingField } from "./labelSmoothing.ts"

interface Options {
  readonly alpha: number
  readonly beta: number
  readonly labelSmoothing: number
}

const objective = ({ alpha, beta, labelSmoothing }: Options) => {
  const shared = X.minimum(X.length("chosen"), X.length("rejected"))
  const desensitized = perRole((role) => {
    const weight = X.maximum(X.less(X.position(role), shared), alpha)
    return X.sumTokens(X.mul(weight, tokenLogRatio(role)))
  })
  const loss = smooth(labelSmoothing)(logistic)(gap(scaled(beta, desensitized)))
  return { reward: scaled(beta, sumLogRatio), loss }
}

const plain = { alpha: 0.4, beta: 0.3, labelSmoothing: 0 }

/**
 * Length-Desensitized DPO: what an answer has beyond the length of the other one counts less.
 * **Details** With `l` the smaller of both numbers of tokens, tokens from position `l` on count `alpha` in [0, 1] in the
 * log-ratio, of policy and reference alike; then DPO. 1 is DPO, 0 cuts both answers to `l`. Implicit rewards are DPO's.
 * **Gotchas** At small `alpha` the end of the longer answer is hardly seen, that of the shorter one in full.
 * **Source** Liu et al. 2024, arXiv 2409.06411; TRL's `ld_alpha`. The paper tunes `alpha` for each model.
 */
export const ldDpo = defineReferenced("ld-dpo", {
  module: import.meta.url,
  description: "Length-Desensitized DPO",
  params: {
    alpha: Probability.pipe(withDefault(0.5)),
    beta: Positive.pipe(withDefault(0.1)),
    labelSmoothing: labelSmoothingField
  },
  make: objective,
  laws: [
    atReference("costs ln 2", objective(plain), Math.LN2),
    seesOnlyLogRatios(objective(plain)),
    seesOnlyTheGap(objective(plain))
  ]
})
