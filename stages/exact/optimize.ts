import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import { type ExactPolicy, ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, NonNegative, Positive, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { familyOf, policyOf } from "../../runtime/exact/families.ts"
import * as Minimize from "../../runtime/exact/minimize.ts"
import { norm } from "../../runtime/exact/numbers.ts"
import * as Float64 from "../optimize/algebra/float64.ts"
import type { Reads } from "../optimize/algebra/reads.ts"
import { logistic } from "../optimize/links.ts"
import { NothingToTrainOn } from "../optimize/loop.ts"
import { Objective, objective } from "../optimize/Objective.ts"
import { gap, sumLogRatio } from "../optimize/statistics.ts"
import { Bandits, close, SeedNumber } from "./generated.ts"
import { exactItems } from "./items.ts"
import { completionOf, promptOf, rowOf } from "./rows.ts"

/** A minimization left the finite numbers, or was given pairs or policies that do not belong together. */
export class MinimizationFailed extends Schema.TaggedError<MinimizationFailed>()("MinimizationFailed", {
  problem: Schema.String
}) {
  override get message() {
    return `exact.optimize: ${this.problem}`
  }
}

/** How an exact policy is trained: full batches, in float64. */
export const minimizerFields = {
  by: Schema.Literals(["lbfgs", "adam", "gradient-descent"]).pipe(withDefault("lbfgs")),
  steps: Count.pipe(withDefault(1000)),
  /** Step size of `adam` and `gradient-descent`; `lbfgs` finds its own. */
  learningRate: Positive.pipe(withDefault(0.1)),
  /** Ends early once the gradient's norm is at most this. */
  tolerance: NonNegative.pipe(withDefault(1e-12))
}

/** A function of the parameters that is the mean, by weight, of an objective over pairs, with its gradient. */
export const meanLoss = (
  objective: Objective,
  pairs: ReadonlyArray<Pair>,
  { family: data }: ExactPolicy,
  frozen: Readonly<Partial<Record<"reference" | "guide", ExactPolicy | undefined>>>
): Minimize.Objective => {
  const family = familyOf(data)
  const policies = {
    reference: frozen.reference && policyOf(frozen.reference),
    guide: frozen.guide && policyOf(frozen.guide)
  }
  // What depends on its batch, or reads its own weight, is not the same once and twice.
  const isPlain = !objective.reads.batch && !Object.hasOwn(objective.reads.numbers, "weight")
  const items = exactItems(isPlain ? distinct(pairs, objective.reads) : pairs, objective.reads, policies)
  const total = items.weights.reduce((sum, weight) => sum + weight, 0)
  if (!(total > 0)) throw new RangeError(`the pairs' weights sum to ${total}`)
  const shares = items.weights.map((weight) => weight / total)
  return (theta) => {
    const policy = family.at(theta)
    const found = Float64.evaluate([objective.loss], items.under(policy))
    const { logProbs } = found.gradient(shares)
    const gradient = new Float64Array(theta.length)
    for (const [role, rows] of Object.entries(items.rows))
      policy.pull(rows, logProbs[role]!).forEach((slope, i) => {
        gradient[i] = gradient[i]! + slope
      })
    return { value: found.values[0]!.reduce((sum, loss, i) => sum + shares[i]! * loss, 0), gradient }
  }
}

/** Each pair once, however often it occurs, as far as the objective can tell: with the sum of the weights. */
const distinct = (pairs: ReadonlyArray<Pair>, reads: Reads): ReadonlyArray<Pair> => {
  const found = new Map<string, { readonly pair: Pair; weight: number }>()
  for (const pair of pairs) {
    const answers = reads.roles.map((role) => {
      const { context, finish, tokens } = rowOf(pair, role)
      return [context, finish, ...tokens]
    })
    const key = JSON.stringify([answers, Object.keys(reads.numbers).map((name) => pair.numbers?.[name])])
    const known = found.get(key)
    const weight = pair.numbers?.["weight"] ?? 1
    if (known === undefined) found.set(key, { pair, weight })
    else known.weight += weight
  }
  return Array.from(found.values(), ({ pair, weight }) => ({ ...pair, numbers: { ...pair.numbers, weight } }))
}

/** The logistic loss of log-ratios on some pairs of a bandit, and the same with the pairs in disorder and twice. */
const Compared = Arbitrary.all([Bandits, Arbitrary.array(SeedNumber, { minLength: 1, maxLength: 6 })]).pipe(
  Arbitrary.map(([{ policy, world }, draws]) => {
    const responses = world.rewards![0]![0]!.length
    const answer = (response: number) => completionOf({ context: 0, tokens: [response], finish: "stop" })
    const pairs = draws.map((draw, i): Pair => {
      const chosen = draw % responses
      const rejected = (chosen + 1 + (draw % (responses - 1))) % responses
      return { id: `${i}`, prompt: promptOf(0), chosen: answer(chosen), rejected: answer(rejected), margin: 0 }
    })
    const regression = objective({ reward: sumLogRatio, loss: logistic(gap(sumLogRatio)) })
    const lossOf = (pairs: ReadonlyArray<Pair>) => meanLoss(regression, pairs, policy, { reference: world.reference })
    return {
      loss: lossOf(pairs),
      again: lossOf([...pairs, ...pairs].toReversed()),
      start: Float64Array.from(policy.theta)
    }
  })
)

/**
 * Minimizes an objective over pairs (its mean by the pairs' `weight`) in the family of the policy that it starts from.
 * Fails with `MinimizationFailed` where the loss is not finite, or pairs and policies do not fit.
 */
export const optimize = Stage.make({
  name: "exact.optimize",
  description: "An exact policy trained on pairs",
  module: import.meta.url,
  params: { objective: Objective.schema, ...minimizerFields },
  input: Pairs,
  inputs: {
    from: ExactPolicyValue,
    reference: Stage.optional(ExactPolicyValue),
    guide: Stage.optional(ExactPolicyValue)
  },
  output: ExactPolicyValue,
  laws: [
    Law.make("lowers the loss", Compared, ({ loss, start }) => {
      const { value } = Minimize.lbfgs(loss, start, { steps: 5 })
      return value <= loss(start).value + 1e-12
    }),
    Law.make("has the gradient of its finite differences", Compared, ({ loss, start }) => {
      const { gradient } = loss(start)
      return gradient.every((slope, i) => {
        const moved = (step: number) => loss(start.map((x, j) => (i === j ? x + step : x))).value
        return close(slope, (moved(1e-5) - moved(-1e-5)) / 2e-5, 1e-6)
      })
    }),
    Law.make(
      "does not tell a pair that is there twice from one of twice the weight",
      Compared,
      ({ again, loss, start }) => {
        const [there, back] = [loss(start), again(start)]
        return close(there.value, back.value) && there.gradient.every((slope, i) => close(slope, back.gradient[i]!))
      }
    )
  ],
  run: ({ input, inputs: { from, guide, reference }, params: { by, objective: chosen, ...options } }) =>
    Effect.gen(function* () {
      const pairs = yield* Stream.runCollect(input.stream)
      if (pairs.length === 0) return yield* new NothingToTrainOn({ stage: "exact.optimize", items: "pairs" })
      return yield* Effect.try({
        try: () => {
          const loss = meanLoss(chosen.implementation, pairs, from, { reference, guide })
          const start = Float64Array.from(from.theta)
          const found = MINIMIZERS[by](loss, start, options)
          // A line search goes by values; where a gradient is not their slope it stops short, or ends elsewhere.
          const allowed = Math.max(options.tolerance, 1e-4 * (1 + norm(loss(start).gradient)))
          if (by === "lbfgs" && found.steps < options.steps && found.gradientNorm > allowed)
            throw new RangeError(
              `lbfgs stopped after ${found.steps} steps at a gradient of ${found.gradientNorm}: the objective's gradient is not the slope of its value (a part is held constant); use by: "adam"`
            )
          return { family: from.family, theta: [...found.theta] }
        },
        catch: (cause) => new MinimizationFailed({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    })
})

const MINIMIZERS = {
  lbfgs: Minimize.lbfgs,
  adam: Minimize.adam,
  "gradient-descent": Minimize.gradientDescent
} as const
