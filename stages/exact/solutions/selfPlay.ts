import { Arbitrary, Schema } from "effect"
import * as Law from "../../../dsl/Law.ts"
import { Count, Positive, withDefault } from "../../../dsl/Params.ts"
import * as Rng from "../../../dsl/Rng.ts"
import type { Matrix } from "../../../runtime/exact/bandit.ts"
import { exploitability, multiplicativeWeights, nash, winRates } from "../../../runtime/exact/games.ts"
import { logSoftmax, type Numbers } from "../../../runtime/exact/numbers.ts"
import { normalVector, uniformPreferences } from "../../../runtime/exact/random.ts"
import { payoffField, payoffsOf } from "../payoffs.ts"
import { Solutions } from "../Solutions.ts"

/** The policies of self-play by multiplicative weights, the first one as given, as log-probabilities: `rounds + 1` of them. */
export function* iterates(payoffs: Matrix, start: Numbers, rounds: number, rate: number): Generator<Float64Array> {
  let policy = logSoftmax(start)
  yield policy
  for (let round = 0; round < rounds; round++) {
    policy = multiplicativeWeights(policy, winRates(payoffs, policy.map(Math.exp)), rate)
    yield policy
  }
}

const last = (payoffs: Matrix, start: Numbers, rounds: number, rate: number): Float64Array => {
  let found: Float64Array = Float64Array.from(start)
  for (const policy of iterates(payoffs, start, rounds, rate)) found = policy
  return found
}

/** The mean of the first `rounds` policies; what float64 rounds to 0 counts as its smallest number. */
const average = (payoffs: Matrix, start: Numbers, rounds: number, rate: number): Float64Array => {
  const sum = new Float64Array(start.length)
  for (const policy of iterates(payoffs, start, rounds - 1, rate))
    policy.forEach((logProb, y) => {
      sum[y]! += Math.exp(logProb)
    })
  return sum.map((total) => Math.log(Math.max(total / rounds, Number.MIN_VALUE)))
}

const Game = Arbitrary.all([
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))),
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 6 }))),
  Arbitrary.schema(Law.Real(0.1, 3))
]).pipe(
  Arbitrary.map(([seed, responses, rate]) => {
    const rng = Rng.make(seed, "game")
    const start = logSoftmax(normalVector(responses, rng.fork("start")))
    return { preferences: uniformPreferences(responses, rng.fork("preferences")), start, rate }
  })
)
const near = (a: Numbers, b: Numbers, tolerance: number) =>
  Array.from(a).every((x, y) => Math.abs(Math.exp(x) - Math.exp(b[y]!)) <= tolerance)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("two rounds are one round, and one from there", Game, ({ preferences, rate, start }) =>
    near(last(preferences, start, 2, rate), last(preferences, last(preferences, start, 1, rate), 1, rate), 1e-12)
  ),
  Law.make("stays where no answer wins more often than another", Game, ({ preferences, rate, start }) => {
    const even = preferences.map((row) => row.map(() => 0.5))
    return near(last(even, start, 3, rate), start, 1e-12)
  }),
  Law.make("stays at a Nash policy that plays every answer", Game, ({ preferences, rate }) => {
    const policy = nash(preferences)
    return (
      policy.some((p) => p < 1e-3) || near(last(preferences, policy.map(Math.log), 1, rate), policy.map(Math.log), 1e-9)
    )
  }),
  Law.make("the average of one round is the start", Game, ({ preferences, rate, start }) =>
    near(average(preferences, start, 1, rate), start, 1e-12)
  ),
  Law.make("the average is as close to Nash as Hedge guarantees", Game, ({ preferences, rate, start }) => {
    const policy = average(preferences, start, 40, rate).map(Math.exp)
    const bound = Math.max(...start.map((logProb) => -logProb)) / (rate * 40) + rate / 8
    return exploitability(preferences, policy) <= bound + 1e-12
  })
]

/**
 * Self-play by multiplicative weights from the policy given: `rounds` times `pi'(y)` proportional to
 * `pi(y) exp(rate * payoff of y against pi)`. With win rates this is SPPO's ideal update (`rate = eta`) and soft policy
 * iteration (`rate = 1 / eta`), with log-odds GPO's (`rate = 1 / beta`).
 * **Details** `returns: "last"` is the policy after the last round; `"average"` the mean of the `rounds` policies that were
 * played, the start among them and the last update not: the one of which no-regret learning speaks.
 * **Source** Freund and Schapire 1999; Wu et al. 2024, arXiv 2405.00675, eq. 4.1; Rosset et al. 2024, arXiv 2404.03715, eq. 9.
 */
export const selfPlay = Solutions.define("self-play", {
  module: import.meta.url,
  description: "Self-play by multiplicative weights",
  params: {
    rounds: Count.pipe(withDefault(1)),
    rate: Positive.pipe(withDefault(1)),
    payoff: payoffField,
    returns: Schema.Literals(["last", "average"]).pipe(withDefault("last"))
  },
  make:
    ({ payoff, rate, returns, rounds }) =>
    (world, context, logReference) =>
      (returns === "last" ? last : average)(payoffsOf(world, context, payoff), logReference, rounds, rate),
  laws
})
