import { Arbitrary, Effect, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, NonNegative, withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Minimize from "../../runtime/exact/minimize.ts"
import { normalVector } from "../../runtime/exact/random.ts"
import { NothingToTrainOn } from "../optimize/loop.ts"
import { Objective } from "../optimize/Objective.ts"
import { bradleyTerry } from "../optimize/objectives/bradleyTerry.ts"
import { close, ordered, SeedNumber } from "./generated.ts"
import { type HeadTable, HeadTableValue, headItems } from "./headTable.ts"
import { MinimizationFailed } from "./optimize.ts"
import { rowOf } from "./rows.ts"

interface Options {
  readonly deviation: number
  readonly steps: number
  readonly tolerance: number
}

const fitted = (pairs: ReadonlyArray<Pair>, implementation: Objective, options: Options, rng: Rng.Rng): HeadTable => {
  const rows = pairs.flatMap((pair) => implementation.reads.roles.map((role) => rowOf(pair, role)))
  const most = (of: (row: (typeof rows)[number]) => number) => rows.reduce((top, row) => Math.max(top, of(row)), 0)
  const size = {
    contexts: most(({ context }) => context) + 1,
    responses: most(({ tokens }) => tokens[0] ?? 0) + 1,
    outputs: Math.max(1, implementation.reads.heads)
  }
  const { evaluate, places } = headItems(pairs, implementation, size)
  const lossAt = evaluate()
  const weights = Float64Array.from(pairs, ({ numbers }) => numbers?.["weight"] ?? 1)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const shares = weights.map((weight) => weight / total)
  const start = normalVector(size.contexts * size.responses * size.outputs, rng, options.deviation)
  const found = Minimize.lbfgs(
    (theta) => {
      const at = lossAt(theta)
      const gradient = new Float64Array(theta.length)
      for (const [role, heads] of Object.entries(at.gradient(shares).heads))
        heads.forEach((slopes, i) => {
          slopes.forEach((slope, k) => {
            gradient[places[role]![i]! + k]! += slope
          })
        })
      return { value: at.values[0]!.reduce((sum, loss, i) => sum + shares[i]! * loss, 0), gradient }
    },
    start,
    options
  )
  return { ...size, theta: [...found.theta] }
}

/** Both orders of the pairs of three responses in one context, as often as Bradley-Terry prefers them. */
const Compared = Arbitrary.all([
  Arbitrary.array(Arbitrary.schema(Law.Real(-1, 1)), { minLength: 3, maxLength: 3 }),
  SeedNumber
]).pipe(
  Arbitrary.map(([rewards, seed]) => {
    const pairs = ordered(rewards, "weight")
    return { pairs, rewards, rng: Rng.make(seed, "model") }
  })
)
const exchanged = (pair: Pair): Pair => ({ ...pair, chosen: pair.rejected, rejected: pair.chosen })
const options: Options = { deviation: 0.1, steps: 200, tolerance: 1e-10 }
const rewardOf = (pairs: ReadonlyArray<Pair>, rng: Rng.Rng) =>
  fitted(pairs, bradleyTerry().implementation, options, rng).theta

const laws: ReadonlyArray<Law.Law> = [
  Law.make(
    "finds the rewards behind Bradley-Terry preferences, up to a constant",
    Compared,
    ({ pairs, rewards, rng }) => {
      const found = rewardOf(pairs, rng)
      return rewards.every((r, y) => close(found[y]! - found[0]!, r - rewards[0]!, 1e-5))
    }
  ),
  Law.make("swapped labels turn rewards round", Compared, ({ pairs, rng }) => {
    const [found, turned] = [rewardOf(pairs, rng), rewardOf(pairs.map(exchanged), rng)]
    return found.every((r, y) => close(r - found[0]!, turned[0]! - turned[y]!, 1e-5))
  }),
  Law.make("a unit of weight is no matter", Compared, ({ pairs, rng }) => {
    const heavier = pairs.map((pair) => ({ ...pair, numbers: { weight: 3 * pair.numbers!["weight"]! } }))
    const [found, again] = [rewardOf(pairs, rng), rewardOf(heavier, rng)]
    return found.every((r, y) => close(r, again[y]!, 1e-5))
  })
]

/**
 * A reward model of a world: outputs free for each response, trained on pairs by an objective that reads a head (its mean by
 * the pairs' `weight`), by L-BFGS from normal outputs of the given deviation.
 * **Details** It has as many contexts and responses as the pairs' answers name. Fails with `MinimizationFailed` for an
 * objective that reads log-probabilities of a reference, pairs that it cannot read, or a loss that is not finite.
 */
export const model = Stage.make({
  name: "exact.model",
  description: "A reward model of a world, trained on pairs",
  module: import.meta.url,
  params: {
    objective: Objective.schema,
    deviation: NonNegative.pipe(withDefault(0.1)),
    steps: Count.pipe(withDefault(1000)),
    tolerance: NonNegative.pipe(withDefault(1e-12))
  },
  input: Pairs,
  output: HeadTableValue,
  random: true,
  laws,
  run: ({ input, params: { deviation, objective, steps, tolerance }, rng }) =>
    Effect.gen(function* () {
      const pairs = yield* Stream.runCollect(input.stream)
      if (pairs.length === 0) return yield* new NothingToTrainOn({ stage: "exact.model", items: "pairs" })
      return yield* Effect.try({
        try: () => fitted(pairs, objective.implementation, { deviation, steps, tolerance }, rng),
        catch: (cause) => new MinimizationFailed({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    })
})
