import { Schema } from "effect"
import { NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { logistic } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { gap, implicitReward } from "../statistics.ts"
import { momentumField } from "./momentum.ts"

interface Options {
  readonly alpha: number
  readonly beta: number
  readonly level: "batch" | "item"
  readonly minimumScale: number
  readonly momentum: number
}

const objective = ({ alpha, beta, level, minimumScale, momentum }: Options) => {
  const reward = implicitReward(beta)
  const margin = gap(reward)
  const here = level === "batch" ? X.batchMean(margin) : margin
  const surplus = X.sub(here, X.movingMean("beta-dpo/margin", margin, momentum))
  const scale = X.stopGradient(X.maximum(X.add(X.mul(surplus, alpha), 1), minimumScale))
  return { reward, loss: logistic(X.mul(margin, scale)) }
}

/**
 * DPO with a dynamic beta: pairs that are already far apart are tied closer to the reference.
 * **Details** `loss = -ln sigma(beta_i d)`, `d` the gap of log-ratios, `beta_i = beta (1 + alpha (M - M0))`, through which no
 * gradient flows. `M` is the margin `beta d` of the pair (`level: "item"`) or its mean over the batch (`"batch"`); `M0` its
 * moving mean over steps, this one's included, of weight `1 - momentum`. `alpha >= 0`; 0 is DPO. `beta_i` does not fall below
 * `minimumScale` times `beta`: without the bound a pair far behind would be pushed the wrong way. `ln 2` where policy and
 * reference agree.
 * **Gotchas** The paper also leaves out the pairs whose margin is an outlier: filter them before.
 * **Source** Wu et al. 2024, arXiv 2407.08639; the bound is ours.
 */
export const betaDpo = defineReferenced("beta-dpo", {
  module: import.meta.url,
  description: "DPO with a beta that follows the margins",
  params: {
    beta: Positive.pipe(withDefault(0.1)),
    alpha: NonNegative.pipe(withDefault(0.6)),
    momentum: momentumField,
    level: Schema.Literals(["batch", "item"]).pipe(withDefault("batch")),
    minimumScale: NonNegative.pipe(withDefault(0.01))
  },
  make: objective,
  laws: (["batch", "item"] as const).flatMap((level) => {
    const example = objective({ alpha: 0.5, beta: 0.3, level, minimumScale: 0.01, momentum: 0.5 })
    return [
      atReference(`costs ln 2 (${level})`, example, Math.LN2),
      seesOnlyLogRatios(example),
      seesOnlyTheGap(example)
    ]
  })
})
