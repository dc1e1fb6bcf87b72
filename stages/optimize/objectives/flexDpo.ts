import { NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import { logistic, plus } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios } from "../referenceLaws.ts"
import { gap, type Normalization, negativeLogLikelihood, perRole, scaled, sumLogRatio } from "../statistics.ts"
import { normalizationField } from "./fields.ts"

interface Options {
  readonly betaPlus: number
  readonly betaMinus: number
  readonly sftWeight: number
  readonly normalization: Normalization
}

const objective = ({ betaMinus, betaPlus, normalization, sftWeight }: Options) => {
  const [up, down] = [scaled(betaPlus, sumLogRatio), scaled(betaMinus, sumLogRatio)]
  const reward = perRole((role) => (role === "rejected" ? down(role) : up(role)))
  return { reward, loss: plus(logistic(gap(reward)), sftWeight, negativeLogLikelihood(normalization)("chosen")) }
}

const plain: Options = { betaPlus: 0.3, betaMinus: 0.2, sftWeight: 0, normalization: "sum" }

/**
 * Flex-DPO and SFT-DPO: the rejected answer is pushed down less than the chosen one is pushed up, and the chosen one's
 * likelihood can be held up by a supervised term.
 * **Details** `loss = -ln sigma(betaPlus ln (policy / reference)(y_w) - betaMinus ln (policy / reference)(y_l)) + sftWeight
 * (-ln policy(y_w))`, the last normalized as told. Equal betas and `sftWeight` 0 are DPO; `betaMinus` 0 sees the chosen
 * answer only. The rejected answer's implicit reward has `betaMinus`, all others' `betaPlus`.
 * **Gotchas** With unequal betas the loss sees a constant of the prompt.
 * **Source** Yan et al. 2024, arXiv 2406.07327, which finds `betaMinus` near 0.08 best for `betaPlus` 0.1.
 */
export const flexDpo = defineReferenced("flex-dpo", {
  module: import.meta.url,
  description: "DPO with a beta for each side, and a supervised term",
  params: {
    betaPlus: Positive.pipe(withDefault(0.1)),
    betaMinus: NonNegative.pipe(withDefault(0.08)),
    sftWeight: NonNegative.pipe(withDefault(0)),
    normalization: normalizationField("sum")
  },
  make: objective,
  laws: [atReference("costs ln 2", objective(plain), Math.LN2), seesOnlyLogRatios(objective(plain))]
})
