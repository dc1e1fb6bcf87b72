import { Arbitrary, Effect } from "effect"
import { type Evaluation, EvaluationReport } from "../../dsl/artifacts.ts"
import { type ExactPolicy, ExactPolicyValue, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import { expectedReward } from "../../runtime/exact/expectations.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { sigmoid } from "../../runtime/exact/numbers.ts"
import { enumerateRows, type Policy } from "../../runtime/exact/Policy.ts"
import { goldFields } from "./goldFields.ts"
import type { Gold } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"

/** Sums nearer to each other than this count as one. */
const GRID = 1e-9

type Worth = Omit<Gold, "objective">
const SUM: Worth = { perToken: false, lengthWeight: 0, scale: 1 }

/** Probabilities of what an answer may be worth, by dynamic programming over positions, states and sums of rewards. */
const worthsOf = (policy: Policy, rewards: ReadonlyArray<number>, gold: Worth): ReadonlyMap<number, number> => {
  const { horizon, logProbs, next, start, symbol } = policy.process
  const ended = new Map<number, number>()
  const add = (to: Map<number, number>, at: number, probability: number) => to.set(at, (to.get(at) ?? 0) + probability)
  let open = new Map<number, Map<number, number>>([[start, new Map([[0, 1]])]])
  for (let position = 0; position < horizon; position++) {
    const after = new Map<number, Map<number, number>>()
    for (const [state, sums] of open)
      logProbs(0, position, state).forEach((logProb, action) => {
        const p = Math.exp(logProb)
        if (p === 0) return
        const written = symbol(action)
        const gain = written === undefined ? 0 : Math.round(rewards[written]! / GRID)
        const to = next(position, action)
        const length = position + (written === undefined ? 0 : 1)
        if (typeof to !== "number") {
          for (const [sum, probability] of sums) add(ended, worthOf(sum + gain, length, gold), probability * p)
          return
        }
        const target = after.get(to) ?? new Map<number, number>()
        after.set(to, target)
        for (const [sum, probability] of sums) add(target, sum + gain, probability * p)
      })
    open = after
  }
  return new Map(Array.from(ended, ([worth, probability]) => [worth * GRID, probability]))
}

/** In units of the grid, as the sum is. */
const worthOf = (sum: number, length: number, { lengthWeight, perToken, scale }: Worth) =>
  Math.round(scale * (perToken ? (length === 0 ? 0 : sum / length) : sum) + (lengthWeight * length) / GRID)

const duelled = (policy: Policy, opponent: Policy, rewards: ReadonlyArray<number>, gold: Worth) => {
  const theirs = [...worthsOf(opponent, rewards, gold)]
  let [wins, preferred] = [0, 0]
  for (const [a, p] of worthsOf(policy, rewards, gold))
    for (const [b, q] of theirs) {
      wins += p * q * (Math.abs(a - b) < GRID / 2 ? 0.5 : a > b ? 1 : 0)
      preferred += p * q * sigmoid(a - b)
    }
  return { wins, preferred }
}

const { lengthWeight, perToken, scale } = goldFields

const Logit = Arbitrary.schema(Law.Real(-2, 2))
const Theta = Arbitrary.array(Logit, { minLength: 9, maxLength: 9 })
const chain = (theta: ReadonlyArray<number>): ExactPolicy => ({
  family: { kind: "markov", symbols: 2, horizon: 4, endless: false },
  theta
})
const Case = Arbitrary.all([Theta, Theta, Logit]).pipe(
  Arbitrary.map(([a, b, worth]) => ({ a: policyOf(chain(a)), b: policyOf(chain(b)), rewards: [1, worth] }))
)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("against itself wins half of the time", Case, ({ a, rewards }) => {
    const { preferred, wins } = duelled(a, a, rewards, SUM)
    return Math.abs(wins - 0.5) < 1e-9 && Math.abs(preferred - 0.5) < 1e-9
  }),
  Law.make("what one wins the other loses", Case, ({ a, b, rewards }) => {
    const [forth, back] = [duelled(a, b, rewards, SUM), duelled(b, a, rewards, SUM)]
    return Math.abs(forth.wins + back.wins - 1) < 1e-9 && Math.abs(forth.preferred + back.preferred - 1) < 1e-9
  }),
  Law.make("the worths have the expected reward, of sums and of means", Case, ({ a, rewards }) => {
    const mean = (gold: Worth) => {
      let total = 0
      for (const [worth, probability] of worthsOf(a, rewards, gold)) total += worth * probability
      return total
    }
    const perSymbol = enumerateRows(a, 0).reduce((total, { logProb, row: { tokens } }) => {
      const sum = tokens.reduce((partial, symbol) => partial + rewards[symbol]!, 0)
      return total + Math.exp(logProb) * (tokens.length === 0 ? 0 : (3 * sum) / tokens.length)
    }, 0)
    return (
      Math.abs(mean(SUM) - expectedReward(a, 0, rewards)) < 1e-7 &&
      Math.abs(mean({ ...SUM, perToken: true, scale: 3 }) - perSymbol) < 1e-7
    )
  })
]

/**
 * A policy over sequences against another one, the world's start unless told, by the gold reward of their answers, exactly.
 * **Details** The gold is that of `exact.comparisons`. Estimates without interval: `win_rate`, the probability that the policy's
 * answer is worth more, ties half; `preference`, that Bradley-Terry prefers it. The number of different sums of rewards must
 * stay small: rewards of few different values.
 */
export const duel = Stage.make({
  name: "exact.duel",
  description: "Exact win rate of a policy over sequences",
  module: import.meta.url,
  params: { perToken, lengthWeight, scale },
  input: WorldValue,
  inputs: { policy: ExactPolicyValue, opponent: Stage.optional(ExactPolicyValue) },
  output: EvaluationReport,
  laws,
  run: ({ input: world, inputs, params }) =>
    Effect.try({
      try: (): Evaluation => {
        if (world.tokenRewards === undefined) throw new RangeError("a duel needs rewards of symbols")
        const { preferred, wins } = duelled(
          policyOf(inputs.policy),
          policyOf(inputs.opponent ?? world.reference),
          world.tokenRewards,
          params
        )
        const point = (mean: number) => ({ mean, low: mean, high: mean, count: 1 })
        return { estimates: { win_rate: point(wins), preference: point(preferred) }, examples: [] }
      },
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})
