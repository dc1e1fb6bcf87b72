import { Schema } from "effect"
import { NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import { logistic, plus } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios } from "../referenceLaws.ts"
import { gap, scaled, sumLogRatio } from "../statistics.ts"

interface Options {
  readonly beta: number
  readonly alpha: number
  readonly setting: "online" | "offline"
}

const objective = ({ alpha, beta, setting }: Options) => {
  const reward = scaled(beta, sumLogRatio)
  const sign = setting === "online" ? 1 : -1
  return { reward, loss: plus(logistic(gap(reward)), sign * alpha, reward("calibration")) }
}

/**
 * Value-Incentivized Preference Optimization: DPO, and the implicit reward of calibration answers, pushed down online (which
 * is optimism: the others gain) and up offline (pessimism).
 * **Details** `loss = -ln sigma(r_w - r_l) + s alpha r_c`, `r = beta ln (policy / reference)`, `s = 1` online and -1
 * offline; `r_c` is that of the answer `calibration`, drawn from a fixed distribution. `alpha >= 0` is for each pair: the
 * paper's, for the sum over all, divided by their number. At 0 it is DPO and reads no calibration.
 * **Gotchas** Online the loss has no lower bound where a calibration answer never wins: few steps a round.
 * **Source** Cen et al. 2024, arXiv 2405.19320; the defaults are ours.
 */
export const vpo = defineReferenced("vpo", {
  module: import.meta.url,
  description: "Value-Incentivized Preference Optimization: optimism online, pessimism offline",
  params: {
    beta: Positive.pipe(withDefault(0.1)),
    alpha: NonNegative.pipe(withDefault(0.1)),
    setting: Schema.Literals(["online", "offline"]).pipe(withDefault("offline"))
  },
  make: objective,
  laws: (["online", "offline"] as const).flatMap((setting) => [
    atReference("costs ln 2", objective({ beta: 0.3, alpha: 0.5, setting }), Math.LN2),
    seesOnlyLogRatios(objective({ beta: 0.3, alpha: 0.5, setting }))
  ])
})
