import { Schema } from "effect"
import { Positive, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { defineReferenced } from "../Objective.ts"
import { seesOnlyLogRatios } from "../referenceLaws.ts"
import { group, meanSquare, numberOf, perRole, type Statistic, scaled, sumLogRatio } from "../statistics.ts"
import { answersField, logZRange } from "./fields.ts"

type Mode = "pair" | "single" | "all"

interface Options {
  readonly mode: Mode
  readonly answers: number
  readonly eta: number
  readonly logZ: "half" | "given"
}

const probability = { minimum: 0, maximum: 1 }
const label = X.number("label", probability)
const WINS: Readonly<Record<Mode, Statistic>> = {
  pair: numberOf("winRate", probability),
  single: perRole((role) => (role === "chosen" ? label : X.sub(1, label))),
  all: numberOf("score", probability)
}

const objective = ({ answers, eta, logZ, mode }: Options) => {
  const normalizer = logZ === "half" ? eta / 2 : X.number("logZ", logZRange)
  const target = perRole((role) => X.sub(X.mul(WINS[mode](role), eta), normalizer))
  const roles = mode === "all" ? group(answers) : ["chosen", "rejected"]
  return { reward: scaled(1 / eta, sumLogRatio), loss: meanSquare(roles, sumLogRatio, target) }
}

/**
 * Self-Play Preference Optimization: each answer's log-ratio is drawn to `eta` times its win rate against the reference, the
 * policy before this round, less `ln Z`.
 * **Details** `loss = mean over answers of (ln (policy / reference) - eta P + ln Z)^2`. Mode `pair`: `P` of the chosen and the
 * rejected answer are the numbers `winRateChosen` and `winRateRejected`; `single`: the number `label`, the probability that
 * chosen beats rejected, and 1 less it (1 and 0 are `sppoHard`); `all`: `score0`, … of `answer0`, …, `answers` of them. `ln Z` is `eta / 2`, right to first order, or the number `logZ`.
 * **Source** Wu et al. 2024, arXiv 2405.00675; uclaml/SPPO, which takes `eta = 1000`.
 */
export const sppo = defineReferenced("sppo", {
  module: import.meta.url,
  description: "Self-Play Preference Optimization: log-ratios drawn to win rates",
  params: {
    mode: Schema.Literals(["pair", "single", "all"]).pipe(withDefault("pair")),
    answers: answersField,
    eta: Positive.pipe(withDefault(1)),
    logZ: Schema.Literals(["half", "given"]).pipe(withDefault("half"))
  },
  make: objective,
  laws: [seesOnlyLogRatios(objective({ mode: "all", answers: 3, eta: 2, logZ: "given" }))]
})
