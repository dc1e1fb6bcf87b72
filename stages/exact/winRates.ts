import { Effect, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import { type ExactPolicy, ExactPolicyValue, type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { NonNegative, Positive, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { winRates as ratesOf } from "../../runtime/exact/games.ts"
import { logSumExp } from "../../runtime/exact/numbers.ts"
import { responseLogProbs } from "../../runtime/exact/Policy.ts"
import { Bandits, close } from "./generated.ts"
import { type Payoff, payoffField, payoffsOf } from "./payoffs.ts"
import { preferencesOf } from "./population.ts"
import { completionOf, promptOf } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"

interface Options {
  readonly sampling: "policy" | "uniform" | ReadonlyArray<number>
  readonly payoff: Payoff
  readonly rate: number
}

const contested = (world: World, against: ExactPolicy, { payoff, rate, sampling }: Options): ReadonlyArray<Pair> => {
  const policy = policyOf(against)
  const name = payoff === "win-rate" ? "winRate" : "score"
  return Array.from({ length: policy.process.contexts }, (_, context) => {
    const logProbs = responseLogProbs(policy, context)
    const earned = ratesOf(payoffsOf(world, context, payoff), logProbs.map(Math.exp))
    const logZ = logSumExp(logProbs.map((logProb, y) => logProb + rate * earned[y]!))
    const mu = shares(sampling === "policy" ? logProbs.map(Math.exp) : sampling, logProbs.length)
    const preferences = preferencesOf(world, context)!
    return mu.flatMap((first, y) =>
      mu.slice(y).flatMap((second, offset): ReadonlyArray<Pair> => {
        const z = y + offset
        const weight = (y === z ? 1 : 2) * first * second
        if (weight === 0) return []
        const [chosen, rejected] = earned[y]! >= earned[z]! ? [y, z] : [z, y]
        const answer = (response: number) => completionOf({ context, tokens: [response], finish: "stop" })
        return [
          {
            id: `c${context}/${chosen}-${rejected}`,
            prompt: promptOf(context),
            chosen: answer(chosen),
            rejected: answer(rejected),
            margin: earned[chosen]! - earned[rejected]!,
            numbers: {
              weight,
              preference: preferences[chosen]![rejected]!,
              [`${name}Chosen`]: earned[chosen]!,
              [`${name}Rejected`]: earned[rejected]!,
              logZ
            }
          }
        ]
      })
    )
  }).flat()
}

const mean = (pairs: ReadonlyArray<Pair>, of: (numbers: Readonly<Record<string, number>>) => number) => {
  const total = pairs.reduce((sum, { numbers }) => sum + numbers!["weight"]!, 0)
  return pairs.reduce((sum, { numbers }) => sum + (numbers!["weight"]! * of(numbers!)) / total, 0)
}
const SAMPLINGS = ["policy", "uniform"] as const

const laws: ReadonlyArray<Law.Law> = [
  Law.make("weights sum to the number of contexts", Bandits, ({ policy, world }) =>
    SAMPLINGS.every((sampling) => {
      const pairs = contested(world, policy, { sampling, payoff: "win-rate", rate: 1 })
      return close(
        pairs.reduce((sum, { numbers }) => sum + numbers!["weight"]!, 0),
        policyOf(policy).process.contexts
      )
    })
  ),
  Law.make("against itself a policy wins half of the time, and its scores cancel", Bandits, ({ policy, world }) => {
    const of = (payoff: Payoff) => contested(world, policy, { sampling: "policy", payoff, rate: 1 })
    return (
      close(
        mean(of("win-rate"), (n) => n["winRateChosen"]! + n["winRateRejected"]!),
        1
      ) && Math.abs(mean(of("log-odds"), (n) => n["scoreChosen"]! + n["scoreRejected"]!)) < 1e-9
    )
  }),
  Law.make("the chosen response earns what the margin says it earns more", Bandits, ({ policy, world }) =>
    contested(world, policy, { sampling: "uniform", payoff: "win-rate", rate: 1 }).every(
      ({ margin, numbers }) => margin >= 0 && margin === numbers!["winRateChosen"]! - numbers!["winRateRejected"]!
    )
  ),
  Law.make("pairs do not depend on how they are sampled, but for their weights", Bandits, ({ policy, world }) => {
    const [own, even] = SAMPLINGS.map((sampling) =>
      contested(world, policy, { sampling, payoff: "win-rate", rate: 2 }).map((pair) => ({
        ...pair,
        numbers: { ...pair.numbers, weight: 0 }
      }))
    )
    return JSON.stringify(own) === JSON.stringify(even)
  })
]

/**
 * All pairs of responses with what each earns against a policy on average: the population that self-play regresses on.
 * **Details** Each unordered pair once, that of a response with itself included, so that sums by `weight` are expectations
 * over two independent draws from `sampling`: the policy itself, the uniform distribution, or given weights, the same in each
 * context. Weights sum to the number of contexts. Chosen is the response that earns more. Numbers: `weight`; `preference`, the
 * probability that the chosen one is preferred; `winRateChosen` and `winRateRejected`, for log-odds `scoreChosen` and
 * `scoreRejected`; `logZ`, the logarithm of the policy's mean of `exp(rate * payoff)`.
 */
export const winRates = Stage.make({
  name: "exact.win-rates",
  description: "All pairs of responses of a world with their win rates against a policy",
  module: import.meta.url,
  params: {
    sampling: Schema.Union([Schema.Literals(["policy", "uniform"]), Schema.Array(NonNegative)]).pipe(
      withDefault("policy")
    ),
    payoff: payoffField,
    rate: Positive.pipe(withDefault(1))
  },
  input: WorldValue,
  inputs: { policy: ExactPolicyValue },
  output: Pairs,
  laws,
  run: ({ input: world, inputs: { policy }, params }) =>
    Effect.try({
      try: () => contested(world, policy, params),
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    }).pipe(Effect.map(Stream.fromIterable), Stream.unwrap)
})

const shares = (weights: "uniform" | ArrayLike<number>, responses: number): ReadonlyArray<number> => {
  const given = weights === "uniform" ? Array.from({ length: responses }, () => 1) : Array.from(weights)
  if (given.length !== responses) throw new RangeError(`${given.length} sampling weights of ${responses} responses`)
  const total = given.reduce((sum, weight) => sum + weight, 0)
  if (!(total > 0)) throw new RangeError("sampling weights sum to 0")
  return given.map((weight) => weight / total)
}
