import { Schema } from "effect"
import { Positive, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { defineReferenced } from "../Objective.ts"
import { seesOnlyLogRatios } from "../referenceLaws.ts"
import { group, meanSquare, numberOf, perRole, scaled, sumLogRatio } from "../statistics.ts"
import { answersField, logZRange } from "./fields.ts"

interface Options {
  readonly mode: "pair" | "all"
  readonly answers: number
  readonly beta: number
  readonly logZ: "zero" | "given"
}

const objective = ({ answers, beta, logZ, mode }: Options) => {
  const score = numberOf("score", { minimum: -2, maximum: 2 })
  const target = perRole((role) => {
    const improved = X.div(score(role), beta)
    return logZ === "zero" ? improved : X.sub(improved, X.number("logZ", logZRange))
  })
  const roles = mode === "pair" ? ["chosen", "rejected"] : group(answers)
  return { reward: scaled(beta, sumLogRatio), loss: meanSquare(roles, sumLogRatio, target) }
}

/**
 * General Preference Optimization: each answer's log-ratio is drawn to its mean preference score against the reference, the
 * policy before this round.
 * **Details** `loss = mean over answers of (ln (policy / reference) - score / beta + logZ)^2`, of the chosen and the rejected one
 * with the numbers `scoreChosen` and `scoreRejected` (mode `pair`), or of `answer0`, … with `score0`, … (mode `all`, of
 * `answers` of them). `logZ` is 0, or the number `logZ`: `ln sum_y reference(y) exp(score(y) / beta)`.
 * **Source** Zhang et al. 2024, arXiv 2410.02197; the pair form after uclaml/SPPO. Theirs has `beta = 0.001`, for doubled scores.
 */
export const gpo = defineReferenced("gpo", {
  module: import.meta.url,
  description: "General Preference Optimization: log-ratios drawn to preference scores",
  params: {
    mode: Schema.Literals(["pair", "all"]).pipe(withDefault("pair")),
    answers: answersField,
    beta: Positive.pipe(withDefault(1)),
    logZ: Schema.Literals(["zero", "given"]).pipe(withDefault("zero"))
  },
  make: objective,
  laws: [seesOnlyLogRatios(objective({ mode: "all", answers: 3, beta: 0.7, logZ: "given" }))]
})
