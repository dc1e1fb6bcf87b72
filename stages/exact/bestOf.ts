import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import { ExactPolicyValue, type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, Index, withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { type Policy, responseLogProbs, sampleRow } from "../../runtime/exact/Policy.ts"
import { completionOf } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"
import { bandit } from "./worlds/bandit.ts"

/** Most tuples of answers that are listed for a context. */
const MOST = 100_000

interface Options {
  readonly n: number
  readonly groups?: number | undefined
  readonly contexts?: ReadonlyArray<number> | undefined
  readonly objective: number
}

/** The first of the best and the last of the worst. */
const extremes = (tuple: ReadonlyArray<number>, score: (response: number) => number) => {
  let [best, worst] = [tuple[0]!, tuple[0]!]
  for (const response of tuple) {
    if (score(response) > score(best)) best = response
    if (score(response) <= score(worst)) worst = response
  }
  return [best, worst] as const
}

const pairOf = (context: number, id: string, best: number, worst: number, gap: number, weight?: number): Pair => ({
  id,
  prompt: { id: `c${context}`, text: "" },
  chosen: completionOf({ context, tokens: [best], finish: "stop" }),
  rejected: completionOf({ context, tokens: [worst], finish: "stop" }),
  margin: gap,
  ...(weight === undefined ? {} : { numbers: { weight } })
})

const scoresIn = (world: World, objective: number, context: number) => {
  const scores = world.rewards?.[objective]?.[context]
  if (scores === undefined) throw new RangeError(`the world has no reward ${objective} in context ${context}`)
  return scores
}

const sampled = (
  world: World,
  policy: Policy,
  contexts: ReadonlyArray<number>,
  options: Options,
  rng: Rng.Rng,
  i: number
) => {
  const context = contexts[i % contexts.length]!
  const scores = scoresIn(world, options.objective, context)
  const draws = rng.fork(i)
  const tuple = Array.from({ length: options.n }, (_, j) => sampleRow(policy, context, draws.fork(j)).tokens[0]!)
  const [best, worst] = extremes(tuple, (response) => scores[response]!)
  return pairOf(context, `${i}`, best, worst, scores[best]! - scores[worst]!)
}

/** Every tuple of `n` responses, its outcome weighted by the tuple's probability. */
const listed = (world: World, policy: Policy, context: number, { n, objective }: Options): ReadonlyArray<Pair> => {
  const scores = scoresIn(world, objective, context)
  const p = responseLogProbs(policy, context).map(Math.exp)
  if (p.length ** n > MOST)
    throw new RangeError(`${p.length} responses have more than ${MOST} tuples of ${n}: draw groups of them`)
  const weights = new Map<string, { readonly best: number; readonly worst: number; weight: number }>()
  for (let at = 0; at < p.length ** n; at++) {
    const tuple = Array.from({ length: n }, (_, j) => Math.floor(at / p.length ** j) % p.length)
    const [best, worst] = extremes(tuple, (response) => scores[response]!)
    const weight = tuple.reduce((product, response) => product * p[response]!, 1)
    const known = weights.get(`${best}-${worst}`)
    if (known === undefined) weights.set(`${best}-${worst}`, { best, worst, weight })
    else known.weight += weight
  }
  return Array.from(weights, ([id, { best, weight, worst }]) =>
    pairOf(context, `c${context}/${id}`, best, worst, scores[best]! - scores[worst]!, weight)
  )
}

const Case = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))).pipe(
  Arbitrary.map((seed) => {
    const rng = Rng.make(seed, "best")
    const world = bandit({ contexts: 2, responses: 4 }).implementation(rng)
    return { rng, world, policy: policyOf(world.reference), options: { n: 1 + (seed % 3), objective: 0 } }
  })
)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("weights sum to 1, and the better one is chosen", Case, ({ options, policy, world }) => {
    const pairs = listed(world, policy, 1, options)
    const scores = world.rewards![0]![1]!
    const total = pairs.reduce((sum, { numbers }) => sum + numbers!["weight"]!, 0)
    return (
      Math.abs(total - 1) < 1e-9 &&
      pairs.every(({ chosen, margin, rejected }) => {
        const gap = scores[chosen.tokens![0]!]! - scores[rejected.tokens![0]!]!
        return gap >= 0 && margin === gap
      })
    )
  }),
  Law.make("the best of one is the policy itself", Case, ({ options, policy, world }) => {
    const p = responseLogProbs(policy, 0).map(Math.exp)
    const pairs = listed(world, policy, 0, { ...options, n: 1 })
    return pairs.every(({ chosen, numbers }) => Math.abs(numbers!["weight"]! - p[chosen.tokens![0]!]!) < 1e-12)
  }),
  Law.make("one more answer never makes a drawn winner worse", Case, ({ options, policy, rng, world }) => {
    const score = (n: number) => {
      const { chosen } = sampled(world, policy, [0, 1], { ...options, n }, rng, 1)
      return world.rewards![0]![1]![chosen.tokens![0]!]!
    }
    return score(options.n + 1) >= score(options.n)
  })
]

/**
 * The best of `n` answers of a policy (the world's reference unless `policy` is given) over the worst, by a reward: what
 * rejection-sampling fine-tuning learns from. Of equal answers the first is best, the last worst, so both may be the same.
 * **Details** With `groups` so many are drawn, contexts in turn, all or those listed; group `i` draws from fork `i` of the
 * generator. Without, each outcome is there once, its number `weight` the probability that `n` answers lead to it: every tuple
 * is looked at, at most 100,000 in a context. Fails with `WorldInvalid`.
 */
export const bestOf = Stage.make({
  name: "exact.best-of",
  description: "The best of n answers over the worst",
  module: import.meta.url,
  params: {
    n: Count.pipe(withDefault(8)),
    groups: Schema.optionalKey(Count),
    contexts: Schema.optionalKey(Schema.NonEmptyArray(Index)),
    objective: Index.pipe(withDefault(0))
  },
  input: WorldValue,
  inputs: { policy: Stage.optional(ExactPolicyValue) },
  output: Pairs,
  random: true,
  laws,
  run: ({ input: world, inputs, params, rng }) =>
    Stream.unwrap(
      Effect.try({
        try: () => {
          const policy = policyOf(inputs.policy ?? world.reference)
          const contexts = params.contexts ?? Array.from({ length: policy.process.contexts }, (_, context) => context)
          const { groups } = params
          return Stream.fromIterable(
            groups === undefined
              ? contexts.flatMap((context) => listed(world, policy, context, params))
              : Array.from({ length: groups }, (_, i) => sampled(world, policy, contexts, params, rng, i))
          )
        },
        catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    )
})
