import { Arbitrary, Effect, Schema } from "effect"
import { type Evaluation, EvaluationReport } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { average, estimate } from "../evaluate/estimates.ts"
import * as Float64 from "../optimize/algebra/float64.ts"
import { Objective } from "../optimize/Objective.ts"
import { brain } from "../optimize/objectives/brain.ts"
import { MinimizationFailed } from "./optimize.ts"

interface Options {
  readonly repetitions: number
  readonly policyMean: number
  readonly proposalMean: number
}

const logDensity = (y: number, mean: number) => -((y - mean) ** 2) / 2 - Math.log(2 * Math.PI) / 2

/** Answer `k` to repetition `i`. */
const answer = (rng: Rng.Rng, mean: number, i: number, k: number) => mean + rng.fork(k).normal(i)

/** The derivative of each repetition's loss in the policy's mean. */
const gradients = (objective: Objective, options: Options, rng: Rng.Rng): ReadonlyArray<number> => {
  const { policyMean, proposalMean, repetitions } = options
  const groups = objective.reads.roles.map((role, k) => ({
    role,
    y: Array.from({ length: repetitions }, (_, i) => answer(rng, proposalMean, i, k))
  }))
  const under = (y: ReadonlyArray<number>, mean: number) => y.map((value) => [logDensity(value, mean)])
  const { gradient } = Float64.evaluate([objective.loss], {
    size: repetitions,
    numbers: Object.fromEntries(
      Object.keys(objective.reads.numbers).map((name) => [name, new Float64Array(repetitions)])
    ),
    answers: Object.fromEntries(
      groups.map(({ role, y }) => [
        role,
        { logProbs: { policy: under(y, policyMean), reference: under(y, 0), guide: under(y, proposalMean) } }
      ])
    )
  })
  const { logProbs } = gradient(new Float64Array(repetitions).fill(1))
  return Array.from({ length: repetitions }, (_, i) =>
    groups.reduce((sum, { role, y }) => sum + logProbs[role]![i]![0]! * (y[i]! - policyMean), 0)
  )
}

const Case = Arbitrary.all([
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))),
  Arbitrary.schema(Law.Real(-2, 2))
]).pipe(Arbitrary.map(([seed, mean]) => ({ rng: Rng.make(seed, "gaussian"), mean })))
const of = (estimator: "self-normalized" | "dpg") => brain({ answers: 3, proposal: "guide", estimator }).implementation

const laws: ReadonlyArray<Law.Law> = [
  Law.make("a policy that is the target has no self-normalized gradient", Case, ({ mean, rng }) =>
    gradients(of("self-normalized"), { repetitions: 5, policyMean: 0, proposalMean: mean }, rng).every(
      (g) => Math.abs(g) < 1e-9
    )
  ),
  Law.make("draws from the target weigh the same", Case, ({ mean, rng }) =>
    gradients(of("dpg"), { repetitions: 5, policyMean: mean, proposalMean: 0 }, rng).every((g, i) => {
      const expected = average([0, 1, 2].map((k) => mean - answer(rng, 0, i, k)))
      return Math.abs(g - expected) < 1e-9
    })
  ),
  Law.make("a repetition does not depend on how many there are", Case, ({ mean, rng }) => {
    const options = { policyMean: mean, proposalMean: 1 - mean }
    const [few, many] = [3, 5].map((repetitions) => gradients(of("self-normalized"), { ...options, repetitions }, rng))
    return few!.every((g, i) => g === many![i])
  })
]

/**
 * The gradient of a group's loss in the mean of a normal policy `N(policyMean, 1)`, over groups drawn from the proposal
 * `N(proposalMean, 1)`; the prior and target is `N(0, 1)` (the reward is constant): `gradient`, its mean, and `variance`, each
 * with an interval over repetitions.
 * **Details** The objective's answers are the group, the prior its reference, the proposal its guide; all of its numbers are 0
 * (rewards, and `ln Z`, which is 0 here). Objectives at equal seeds see equal draws. Minus the gradient of
 * `KL(target || policy)` is `-policyMean`.
 * **Source** Pandey et al. 2024, arXiv 2402.02479 (BRAIn), the comparison of gradient estimators.
 */
export const gaussianGradient = Stage.make({
  name: "exact.gaussian-gradient",
  description: "Mean and variance of an objective's gradient for a normal policy",
  module: import.meta.url,
  params: {
    objective: Objective.schema,
    repetitions: Count.pipe(withDefault(20_000)),
    policyMean: Schema.Finite.pipe(withDefault(1)),
    proposalMean: Schema.Finite.pipe(withDefault(1))
  },
  output: EvaluationReport,
  random: true,
  laws,
  run: ({ params: { objective, ...options }, rng }) =>
    Effect.try({
      try: (): Evaluation => {
        const values = gradients(objective.implementation, options, rng)
        const gradient = estimate(values)
        const variance = estimate(values.map((value) => (value - gradient.mean) ** 2))
        return { estimates: { gradient, variance }, examples: [] }
      },
      catch: (cause) => new MinimizationFailed({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})
