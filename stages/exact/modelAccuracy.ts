import { Arbitrary, Effect, Stream } from "effect"
import { type Evaluation, EvaluationReport, type Pair, Pairs } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import { estimate } from "../evaluate/estimates.ts"
import { NothingToEvaluate } from "../evaluate/evaluate.ts"
import { Objective } from "../optimize/Objective.ts"
import { bradleyTerry } from "../optimize/objectives/bradleyTerry.ts"
import { close, ordered } from "./generated.ts"
import { type HeadTable, HeadTableValue, headItems } from "./headTable.ts"
import { MinimizationFailed } from "./optimize.ts"

const measured = (pairs: ReadonlyArray<Pair>, model: HeadTable, implementation: Objective): Evaluation => {
  const { loss, reward } = implementation
  const { evaluate } = headItems(pairs, implementation, model)
  const [losses, chosen, rejected] = evaluate([loss, reward("chosen"), reward("rejected")])(model.theta).values
  const gaps = Array.from(chosen!, (r, i) => r - rejected![i]!)
  const preference = pairs.map(({ id, numbers }) => {
    const p = numbers?.["preference"]
    if (p === undefined) throw new RangeError(`pair ${id} has no number preference`)
    return p
  })
  const right = gaps.flatMap((gap, i) => {
    const lead = Math.sign(preference[i]! - 0.5)
    return lead === 0 ? [] : [gap * lead > 1e-9 ? 1 : 0]
  })
  const weights = pairs.map(({ numbers }) => numbers?.["weight"] ?? 1)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const point = (value: number) => ({ mean: value, low: value, high: value, count: pairs.length })
  const errors = gaps.map((gap, i) => Math.abs(gap - Math.log(preference[i]! / (1 - preference[i]!))))
  return {
    estimates: {
      ...(right.length === 0 ? {} : { "preferred/accuracies": estimate(right) }),
      loss: point(losses!.reduce((sum, own, i) => sum + (weights[i]! / total) * own, 0)),
      "rewards/max_gap": point(Math.max(...gaps.map(Math.abs))),
      ...(errors.every(Number.isFinite) ? { "log_odds/max_error": point(Math.max(...errors)) } : {})
    },
    examples: []
  }
}

/** Three responses with rewards, and every pair in both orders with its Bradley-Terry preference. */
const Rewarded = Arbitrary.array(Arbitrary.schema(Law.Real(-2, 2)), { minLength: 3, maxLength: 3 }).pipe(
  Arbitrary.map((theta) => {
    const pairs = ordered(theta, "preference")
    return { pairs, model: { contexts: 1, responses: 3, outputs: 1, theta } }
  })
)
const estimatesOf = (pairs: ReadonlyArray<Pair>, model: HeadTable) =>
  measured(pairs, model, bradleyTerry().implementation).estimates

const laws: ReadonlyArray<Law.Law> = [
  Law.make(
    "the rewards behind the preferences have their log-odds, and lose to none of them",
    Rewarded,
    ({ model, pairs }) => {
      const found = estimatesOf(pairs, model)
      const tied = model.theta.some((r, y) => model.theta.some((other, z) => y < z && Math.abs(r - other) < 1e-6))
      return found["log_odds/max_error"]!.mean < 1e-9 && (tied || found["preferred/accuracies"]!.mean === 1)
    }
  ),
  Law.make("a constant reward is worth ln 2 and orders nothing", Rewarded, ({ model, pairs }) => {
    const found = estimatesOf(pairs, { ...model, theta: [3, 3, 3] })
    return close(found["loss"]!.mean, Math.LN2) && (found["preferred/accuracies"]?.mean ?? 0) === 0
  }),
  Law.make("the opposite rewards are always wrong", Rewarded, ({ model, pairs }) => {
    const found = estimatesOf(pairs, { ...model, theta: model.theta.map((r) => -r) })
    return (found["preferred/accuracies"]?.mean ?? 0) === 0
  })
]

/**
 * A reward model of a world on pairs, every pair counting the same. `preferred/accuracies`: the share of those whose answer
 * that the world prefers (number `preference`, pairs at 1/2 left out) has the higher reward by more than 1e-9 (rewards that
 * differ by rounding alone tell nothing); `rewards/max_gap` in nats; `loss`, weighted by `weight`; `log_odds/max_error`: how far
 * the gap of rewards is from the log-odds of the preference, at worst.
 */
export const modelAccuracy = Stage.make({
  name: "exact.model-accuracy",
  description: "Accuracy, loss and calibration of a reward model of a world",
  module: import.meta.url,
  params: { objective: Objective.schema },
  input: Pairs,
  inputs: { model: HeadTableValue },
  output: EvaluationReport,
  laws,
  run: ({ input, inputs: { model }, params: { objective } }) =>
    Effect.gen(function* () {
      const pairs = yield* Stream.runCollect(input.stream)
      if (pairs.length === 0) return yield* new NothingToEvaluate({ what: "pairs" })
      return yield* Effect.try({
        try: () => measured(pairs, model, objective.implementation),
        catch: (cause) => new MinimizationFailed({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    })
})
