import { Effect, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import { type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Index, NonNegative, Probability, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { bradleyTerry } from "../../runtime/exact/bandit.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { responseLogProbs } from "../../runtime/exact/Policy.ts"
import { Bandits, close } from "./generated.ts"
import { completionOf, promptOf } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"

/** The probability that each response is preferred to each other one, in a context: the world's own, else Bradley-Terry's. */
export const preferencesOf = ({ preferences, rewards }: World, context: number, objective = 0) => {
  const own = preferences?.[context]
  if (own !== undefined) return own
  const reward = rewards?.[objective]?.[context]
  return reward === undefined ? undefined : bradleyTerry(reward)
}

/**
 * All pairs of different responses of a bandit, as often as they occur: a loss summed over them by their `weight` is the
 * loss's expectation, without sampling noise. Both responses are drawn from `sampling`: the reference, the uniform
 * distribution, or given weights, the same in each context.
 * **Details** `form: "labelled"` has each ordered pair once, its weight that of the pair times the probability that the
 * chosen response is preferred, flipped with probability `flip`. `form: "soft"` has each unordered pair once. Numbers:
 * `weight`; `preference`, the probability that the chosen one is preferred; for each objective k `reward<k>Chosen`,
 * `reward<k>Rejected`. Weights sum to the number of contexts, less what falls on pairs of equal responses.
 */
export const population = Stage.make({
  name: "exact.population",
  description: "All pairs of responses of a world, by how often they occur",
  module: import.meta.url,
  params: {
    form: Schema.Literals(["labelled", "soft"]).pipe(withDefault("labelled")),
    sampling: Schema.Union([Schema.Literals(["uniform", "reference"]), Schema.Array(NonNegative)]).pipe(
      withDefault("uniform")
    ),
    /** Which reward Bradley-Terry preferences are of, where the world has no preferences of its own. */
    objective: Index.pipe(withDefault(0)),
    flip: Probability.pipe(withDefault(0))
  },
  input: WorldValue,
  output: Pairs,
  laws: [
    Law.make("has each pair of different responses once, of one context", Bandits, ({ world }) =>
      Effect.map(pairsOf(world, DEFAULTS), (pairs) => {
        const ids = pairs.map(({ chosen, prompt, rejected }) => `${prompt.id} ${chosen.text} ${rejected.text}`)
        return new Set(ids).size === ids.length && pairs.every(({ chosen, rejected }) => chosen.text !== rejected.text)
      })
    ),
    Law.make("weighs what all draws of two different responses weigh", Bandits, ({ world }) =>
      Effect.map(pairsOf(world, DEFAULTS), (pairs) => {
        const { contexts, responses } = sizesOf(world)
        return close(totalWeight(pairs), contexts * (1 - 1 / responses))
      })
    ),
    Law.make("has the same weight however labels are told and flipped", Bandits, ({ world }) =>
      Effect.map(
        Effect.forEach([{}, { form: "soft" as const }, { flip: 0.3 }], (told) =>
          pairsOf(world, { ...DEFAULTS, ...told })
        ),
        (all) => all.every((pairs) => close(totalWeight(pairs), totalWeight(all[0]!)))
      )
    ),
    Law.make("flipped with probability 1 it prefers what else is rejected", Bandits, ({ world }) =>
      Effect.map(Effect.all([pairsOf(world, DEFAULTS), pairsOf(world, { ...DEFAULTS, flip: 1 })]), ([pairs, flipped]) =>
        pairs.every(({ numbers }, i) => close(numbers!["preference"]! + flipped[i]!.numbers!["preference"]!, 1))
      )
    )
  ],
  run: ({ input, params }) => Stream.unwrap(Effect.map(pairsOf(input, params), Stream.fromIterable))
})

interface Options {
  readonly form: "labelled" | "soft"
  readonly sampling: "uniform" | "reference" | ReadonlyArray<number>
  readonly objective: number
  readonly flip: number
}

const DEFAULTS: Options = { form: "labelled", sampling: "uniform", objective: 0, flip: 0 }

const pairsOf = Effect.fnUntraced(function* (world: World, { flip, form, objective, sampling }: Options) {
  const policy = policyOf(world.reference)
  const pairs: Array<Pair> = []
  for (let context = 0; context < policy.process.contexts; context++) {
    const preferences = preferencesOf(world, context, objective)
    if (preferences === undefined)
      return yield* new WorldInvalid({ problem: `it has neither preferences nor a reward ${objective}` })
    const reference = responseLogProbs(policy, context).map(Math.exp)
    const weights =
      sampling === "reference" ? [...reference] : sampling === "uniform" ? [...reference.map(() => 1)] : sampling
    if (weights.length !== reference.length)
      return yield* new WorldInvalid({ problem: `${weights.length} sampling weights of ${reference.length} responses` })
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    if (!(total > 0)) return yield* new WorldInvalid({ problem: "no response has a sampling weight above 0" })
    const mu = weights.map((weight) => weight / total)
    mu.forEach((first, y) => {
      mu.forEach((second, z) => {
        if (y === z || (form === "soft" && z < y)) return
        const preferred = (1 - flip) * preferences[y]![z]! + flip * preferences[z]![y]!
        const weight = 2 * first * second * (form === "soft" ? 1 : preferred)
        if (weight > 0) pairs.push(pairOf(world, context, [y, z], { weight, preference: preferred }))
      })
    })
  }
  return pairs as ReadonlyArray<Pair>
})

const totalWeight = (pairs: ReadonlyArray<Pair>) => pairs.reduce((sum, { numbers }) => sum + numbers!["weight"]!, 0)

const sizesOf = (world: World) => ({ contexts: world.rewards![0]!.length, responses: world.rewards![0]![0]!.length })

const pairOf = (
  { rewards = [] }: World,
  context: number,
  [y, z]: readonly [number, number],
  numbers: Readonly<Record<string, number>>
): Pair => {
  const answer = (response: number) => completionOf({ context, tokens: [response], finish: "stop" })
  const both = rewards.flatMap((reward, k) => [
    [`reward${k}Chosen`, reward[context]![y]!] as const,
    [`reward${k}Rejected`, reward[context]![z]!] as const
  ])
  return {
    id: `c${context}/${y}-${z}`,
    prompt: promptOf(context),
    chosen: answer(y),
    rejected: answer(z),
    margin: Math.abs((rewards[0]?.[context]?.[y] ?? 0) - (rewards[0]?.[context]?.[z] ?? 0)),
    numbers: { ...numbers, ...Object.fromEntries(both) }
  }
}
