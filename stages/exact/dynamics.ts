import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Estimate, type Evaluation, EvaluationReport, type Pair, Pairs } from "../../dsl/artifacts.ts"
import { type ExactPolicy, ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, Positive, withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { familyOf, policyOf } from "../../runtime/exact/families.ts"
import * as Minimize from "../../runtime/exact/minimize.ts"
import { type Policy, responseLogProbs } from "../../runtime/exact/Policy.ts"
import { normalVector } from "../../runtime/exact/random.ts"
import { NothingToEvaluate } from "../evaluate/evaluate.ts"
import * as Float64 from "../optimize/algebra/float64.ts"
import { Objective } from "../optimize/Objective.ts"
import { dpo } from "../optimize/objectives/dpo.ts"
import { exactItems } from "./items.ts"
import { MinimizationFailed, meanLoss } from "./optimize.ts"
import { completionOf, promptOf, rowOf } from "./rows.ts"

type Point = Readonly<Record<string, number>>

interface Options {
  readonly steps: number
  readonly learningRate: number
}

/** One point before the first step, and one after each. */
const trace = (
  objective: Objective,
  pairs: ReadonlyArray<Pair>,
  from: ExactPolicy,
  reference: ExactPolicy | undefined,
  options: Options
): ReadonlyArray<Point> => {
  const loss = meanLoss(objective, pairs, from, { reference })
  const family = familyOf(from.family)
  const items = exactItems(pairs, objective.reads, { reference: reference && policyOf(reference) })
  const unseen = unseenIn(pairs)
  const points: Array<Point> = []
  const recorded: Minimize.Objective = (theta) => {
    const found = loss(theta)
    const policy = family.at(theta)
    const slopes = Float64.evaluate([objective.loss], items.under(policy)).gradient(pairs.map(() => 1)).logProbs
    const ofRole = (role: "chosen" | "rejected") => {
      const probabilities = pairs.map((pair) => Math.exp(policy.tokenLogProbs(rowOf(pair, role))[0]!))
      // An answer that the loss does not read has no slope.
      const slope = probabilities.map((p, i) => Math.abs(slopes[role]?.[i]?.[0] ?? 0) / p)
      return { [`probability/${role}`]: mean(probabilities), [`slope/${role}`]: mean(slope) }
    }
    points.push({
      loss: found.value,
      "probability/unseen": unseen(policy),
      ...ofRole("chosen"),
      ...ofRole("rejected")
    })
    return found
  }
  Minimize.gradientDescent(recorded, Float64Array.from(from.theta), options)
  return points
}

const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, x) => sum + x, 0) / values.length

/** The probability of responses that occur in no pair of their context, averaged over the contexts of pairs. */
const unseenIn = (pairs: ReadonlyArray<Pair>) => {
  const seen = new Map<number, Set<number>>()
  for (const pair of pairs) {
    for (const role of ["chosen", "rejected"] as const) {
      const { context, tokens } = rowOf(pair, role)
      const responses = seen.get(context) ?? new Set()
      seen.set(context, responses.add(tokens[0]!))
    }
  }
  return (policy: Policy): number =>
    mean(
      Array.from(seen, ([context, responses]) =>
        responseLogProbs(policy, context).reduce(
          (sum, logProb, y) => sum + (responses.has(y) ? 0 : Math.exp(logProb)),
          0
        )
      )
    )
}

const summary = (points: ReadonlyArray<Point>): Record<string, Estimate> =>
  Object.fromEntries(
    Object.keys(points[0]!).flatMap((name) => {
      const curve = points.map((point) => point[name]!)
      const [max, min] = [Math.max(...curve), Math.min(...curve)]
      const values = {
        start: curve[0]!,
        end: curve.at(-1)!,
        max,
        min,
        argmax: curve.indexOf(max),
        rise: Math.max(...curve.slice(1).map((value, i) => value - curve[i]!))
      }
      return Object.entries(values).map(([what, value]) => [
        `${name}/${what}`,
        { mean: value, low: value, high: value, count: curve.length }
      ])
    })
  )

const Case = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))).pipe(
  Arbitrary.map((seed) => {
    const rng = Rng.make(seed, "dynamics")
    const answer = (response: number) => completionOf({ context: 0, tokens: [response], finish: "stop" })
    const pairs: ReadonlyArray<Pair> = [
      { id: "0", prompt: promptOf(0), chosen: answer(0), rejected: answer(1), margin: 0 }
    ]
    const policyAt = (label: string): ExactPolicy => ({
      family: { kind: "softmax", contexts: 1, responses: 4 },
      theta: [...normalVector(4, rng.fork(label))]
    })
    const [from, reference] = [policyAt("from"), policyAt("reference")]
    const options = { steps: 5, learningRate: 0.5 }
    const objective = dpo().implementation
    return { pairs, from, reference, options, objective, points: trace(objective, pairs, from, reference, options) }
  })
)
const near = (a: number, b: number) => Math.abs(a - b) < 1e-12

const laws: ReadonlyArray<Law.Law> = [
  Law.make("begins at the policy that it starts from", Case, ({ from, points }) => {
    const [chosen, rejected] = responseLogProbs(policyOf(from), 0).map(Math.exp)
    return near(points[0]!["probability/chosen"]!, chosen!) && near(points[0]!["probability/rejected"]!, rejected!)
  }),
  Law.make("ends where gradient descent ends", Case, ({ from, objective, options, pairs, points, reference }) => {
    const loss = meanLoss(objective, pairs, from, { reference })
    const { value } = Minimize.gradientDescent(loss, Float64Array.from(from.theta), options)
    return points.length === options.steps + 1 && near(points.at(-1)!["loss"]!, value)
  }),
  Law.make("seen and unseen probabilities of one pair add up to 1", Case, ({ points }) =>
    points.every((point) =>
      near(point["probability/chosen"]! + point["probability/rejected"]! + point["probability/unseen"]!, 1)
    )
  ),
  Law.make("DPO's slopes are as the probabilities, the other way round", Case, ({ points }) =>
    points.every((point) =>
      near(
        (point["slope/rejected"]! * point["probability/rejected"]!) /
          (point["slope/chosen"]! * point["probability/chosen"]!),
        1
      )
    )
  )
]

/**
 * How likelihoods move while a policy over listed responses is trained by gradient descent, before the first step and after
 * each: means over pairs of `loss`, `probability/chosen`, `probability/rejected`, and of the size of the loss's derivative with
 * respect to these probabilities, taken as free variables, `slope/chosen`, `slope/rejected`; and `probability/unseen`, the mean
 * over the pairs' contexts of what responses have that occur in no pair.
 * **Details** Of each curve: `…/start`, `…/end`, `…/max`, `…/min`, `…/argmax` (the step, 0 before the first one) and `…/rise`, its
 * largest change upwards in one step (negative where it always falls). No intervals: low = high = mean.
 */
export const dynamics = Stage.make({
  name: "exact.dynamics",
  description: "How probabilities of chosen, rejected and unseen responses move in training",
  module: import.meta.url,
  params: { objective: Objective.schema, steps: Count, learningRate: Positive.pipe(withDefault(0.1)) },
  input: Pairs,
  inputs: { from: ExactPolicyValue, reference: Stage.optional(ExactPolicyValue) },
  output: EvaluationReport,
  laws,
  run: ({ input, inputs: { from, reference }, params: { objective, ...options } }) =>
    Effect.gen(function* () {
      const pairs = yield* Stream.runCollect(input.stream)
      if (pairs.length === 0) return yield* new NothingToEvaluate({ what: "pairs" })
      return yield* Effect.try({
        try: (): Evaluation => ({
          estimates: summary(trace(objective.implementation, pairs, from, reference, options)),
          examples: []
        }),
        catch: (cause) => new MinimizationFailed({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    })
})
