import { Schema } from "effect"
import { Positive, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { group, numberOf, perRole, scaled, sumLogProb, sumLogRatio } from "../statistics.ts"
import { answersField, logZRange } from "./fields.ts"

interface Options {
  readonly answers: number
  readonly gamma: number
  readonly kappa: number
  readonly proposal: "reference" | "guide"
  readonly estimator: "self-normalized" | "no-baseline" | "dpg" | "gdc"
}

const guided = perRole((role) => X.sumTokens(X.logProbs(role, "guide")))
const prior = perRole((role) => X.sumTokens(X.logProbs(role, "reference")))
const fromGuide = perRole((role) => X.sub(sumLogProb(role), guided(role)))

const objective = ({ answers, estimator, gamma, kappa, proposal }: Options) => {
  const byReference = proposal === "reference"
  const roles = group(answers)
  const score = numberOf("score", { minimum: -2, maximum: 2 })
  const a = roles.map((role) => {
    const goodness = X.div(score(role), gamma)
    return byReference ? goodness : X.add(goodness, X.sub(prior(role), guided(role)))
  })
  const b = roles.map(scaled(kappa, byReference ? sumLogRatio : fromGuide))
  const weighted = (weights: ReadonlyArray<X.Expression>) => X.sum(weights.map((weight, i) => X.mul(weight, b[i]!)))
  const normalized = weighted(a.map((term) => X.exp(X.sub(term, X.logSumExp(a)))))
  const importance = () => weighted(a.map((term) => X.exp(X.sub(term, X.number("logZ", logZRange)))))
  const losses = {
    "self-normalized": () => X.sub(X.logSumExp(b), normalized),
    "no-baseline": () => X.neg(normalized),
    dpg: () => X.div(X.neg(importance()), answers),
    gdc: () => X.div(X.sub(X.sum(b.map(X.exp)), importance()), answers)
  }
  return { reward: scaled(gamma * kappa, sumLogRatio), loss: losses[estimator]() }
}

const plain = { answers: 3, gamma: 0.7, kappa: 0.3, proposal: "reference", estimator: "self-normalized" } as const

/**
 * Bayesian Reward-conditioned Amortized Inference: over a group of answers drawn from a proposal, the policy's normalized
 * importance weights are fitted to those of the posterior `reference exp(reward / gamma) / Z`.
 * **Details** Answers `answer0`, …, with the numbers `score0`, … as rewards; `a = ln reference - ln proposal + score / gamma`,
 * `b = kappa (ln policy - ln proposal)`, `loss = -sum_i softmax(a)_i ln softmax(b)_i`, so its gradient in `ln policy(y_i)` is
 * `kappa (softmax(b)_i - softmax(a)_i)`. The proposal is the reference, or the guide. `gamma > 0` in reward a nat; two answers
 * and `gamma -> 0` are DPO with `beta = kappa`. Other estimators of the gradient, to compare with: `no-baseline` leaves out
 * `softmax(b)`; `dpg` weights `b` by `exp(a - logZ)` and `gdc` by `exp(a - logZ) - exp(b)`, as means over the answers, with the
 * posterior's `ln Z` as the number `logZ`.
 * **Gotchas** Sums over tokens: on long answers the weights are nearly those of one answer; take `kappa` below 1.
 * **Source** Pandey et al. 2024, arXiv 2402.02479; gauravpandeyamu/BRAIn_experiments. `kappa` is ours.
 */
export const brain = defineReferenced("brain", {
  module: import.meta.url,
  description: "BRAIn: a group's weights under the policy fitted to those under the posterior",
  params: {
    answers: answersField,
    gamma: Positive.pipe(withDefault(1)),
    kappa: Positive.pipe(withDefault(1)),
    proposal: Schema.Literals(["reference", "guide"]).pipe(withDefault("reference")),
    estimator: Schema.Literals(["self-normalized", "no-baseline", "dpg", "gdc"]).pipe(withDefault("self-normalized"))
  },
  make: objective,
  laws: [
    atReference("costs ln 3", objective(plain), Math.log(3)),
    seesOnlyLogRatios(objective(plain)),
    seesOnlyTheGap(objective(plain)),
    seesOnlyTheGap(objective({ ...plain, proposal: "guide" }))
  ]
})
