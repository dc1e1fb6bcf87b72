import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import { type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import * as Minimize from "../../runtime/exact/minimize.ts"
import type { Row } from "../../runtime/exact/Policy.ts"
import { symbolsOf } from "../../runtime/exact/world.ts"
import * as Float64 from "../optimize/algebra/float64.ts"
import { NothingToTrainOn } from "../optimize/loop.ts"
import { Objective } from "../optimize/Objective.ts"
import { bradleyTerry } from "../optimize/objectives/bradleyTerry.ts"
import { MinimizationFailed, minimizerFields } from "./optimize.ts"
import { completionOf, promptOf, rowOf } from "./rows.ts"

/** How often each symbol occurs in an answer: all that the model sees of it. */
const countsOf = ({ tokens }: Row, symbols: number): Float64Array => {
  const counts = new Float64Array(symbols)
  for (const symbol of tokens) {
    if (symbol >= symbols) throw new RangeError(`symbol ${symbol} of ${symbols}`)
    counts[symbol] = counts[symbol]! + 1
  }
  return counts
}

/** The mean loss of a head that adds up a weight for each symbol of an answer, with its gradient. */
const lossOf = ({ loss, reads }: Objective, pairs: ReadonlyArray<Pair>, symbols: number): Minimize.Objective => {
  if (reads.reference || reads.guide || reads.heads !== 1 || Object.keys(reads.numbers).length > 0)
    throw new RangeError("a reward model is trained by an objective of one head's output, and of nothing else")
  const answers = reads.roles.map((role) => [role, pairs.map((pair) => countsOf(rowOf(pair, role), symbols))] as const)
  const none = pairs.map(() => [])
  return (weights) => {
    const found = Float64.evaluate([loss], {
      size: pairs.length,
      numbers: {},
      answers: Object.fromEntries(
        answers.map(([role, counts]) => [
          role,
          { logProbs: { policy: none }, heads: counts.map((own) => [dot(own, weights)]) }
        ])
      )
    })
    const slopes = found.gradient(pairs.map(() => 1 / pairs.length)).heads
    const gradient = new Float64Array(symbols)
    for (const [role, counts] of answers)
      counts.forEach((own, i) => {
        const slope = slopes[role]![i]![0]!
        for (let symbol = 0; symbol < symbols; symbol++) gradient[symbol] = gradient[symbol]! + slope * own[symbol]!
      })
    return { value: found.values[0]!.reduce((sum, x) => sum + x, 0) / pairs.length, gradient }
  }
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0)

const learned = (
  objective: Objective,
  pairs: ReadonlyArray<Pair>,
  symbols: number,
  options: Minimize.Options
): ReadonlyArray<number> => [
  ...Minimize.lbfgs(lossOf(objective, pairs, symbols), new Float64Array(symbols), options).theta
]

const Drawn = Arbitrary.schema(Schema.Int).pipe(
  Arbitrary.map((seed): ReadonlyArray<Pair> => {
    const rng = Rng.make(seed, "pairs")
    const answer = (i: number, length: number) =>
      completionOf({ context: 0, tokens: Array.from({ length }, (_, t) => rng.fork(i).int(t, 3)), finish: "length" })
    return Array.from({ length: 40 }, (_, i) => ({
      id: `${i}`,
      prompt: promptOf(0),
      chosen: answer(2 * i, 4),
      rejected: answer(2 * i + 1, 4),
      margin: 0
    }))
  })
)
const near = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) => a.every((x, i) => Math.abs(x - b[i]!) < 1e-6)
const fitted = (pairs: ReadonlyArray<Pair>) =>
  learned(bradleyTerry().implementation, pairs, 3, { steps: 100, tolerance: 1e-9 })

const few = { runs: 15 }
const laws: ReadonlyArray<Law.Law> = [
  Law.make(
    "pairs of equal length say nothing of length: weights sum to 0",
    Drawn,
    (pairs) => near([fitted(pairs).reduce((sum, weight) => sum + weight, 0)], [0]),
    few
  ),
  Law.make(
    "swapping all labels negates the weights",
    Drawn,
    (pairs) =>
      near(
        fitted(pairs.map((pair) => ({ ...pair, chosen: pair.rejected, rejected: pair.chosen }))),
        fitted(pairs).map((weight) => -weight)
      ),
    few
  ),
  Law.make(
    "every pair twice changes nothing",
    Drawn,
    (pairs) => near(fitted([...pairs, ...pairs]), fitted(pairs)),
    few
  ),
  Law.make(
    "what both answers have more, at the end too, changes nothing",
    Drawn,
    (pairs) => {
      const longer = ({ tokens = [], ...answer }: Pair["chosen"]) => ({ ...answer, tokens: [...tokens, 2, 2] })
      const more = pairs.map((pair) => ({ ...pair, chosen: longer(pair.chosen), rejected: longer(pair.rejected) }))
      return near(fitted(more), fitted(pairs))
    },
    few
  )
]

/**
 * An explicit reward model over symbols: an answer's reward is the sum of its symbols' weights, which minimize an objective of
 * one head's output over pairs, found from 0 by L-BFGS. What it gives is the world as the model sees it: its token rewards are the weights.
 * **Details** Pairs of equal length leave the weights' sum at 0. Every pair counts the same.
 */
export const rewardModel = Stage.make({
  name: "exact.reward-model",
  description: "Rewards of symbols learned from pairs",
  module: import.meta.url,
  params: { objective: Objective.schema, steps: minimizerFields.steps, tolerance: minimizerFields.tolerance },
  input: Pairs,
  inputs: { world: WorldValue },
  output: WorldValue,
  laws,
  run: ({ input, inputs: { world }, params: { objective, ...options } }) =>
    Effect.gen(function* () {
      const pairs = yield* Stream.runCollect(input.stream)
      if (pairs.length === 0) return yield* new NothingToTrainOn({ stage: "exact.reward-model", items: "pairs" })
      return yield* Effect.try({
        try: (): World => {
          const symbols = symbolsOf(policyOf(world.reference))
          return {
            reference: world.reference,
            tokenRewards: learned(objective.implementation, pairs, symbols, options)
          }
        },
        catch: (cause) => new MinimizationFailed({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    })
})
