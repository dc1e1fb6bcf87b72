import { Arbitrary, Effect, Schema } from "effect"
import { type ExactPolicy, ExactPolicyValue, type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { logSoftmax } from "../../runtime/exact/numbers.ts"
import { WorldInvalid } from "./Worlds.ts"

/** The logits of a policy over symbols as rows of log-probabilities, one for each state. */
const rowsOf = ({ family, theta }: ExactPolicy): ReadonlyArray<Float64Array> => {
  if (family.kind !== "markov" && family.kind !== "unigram")
    throw new RangeError(`a ${family.kind} policy has no table of symbols`)
  const width = family.kind === "markov" && !family.endless ? family.symbols + 1 : family.symbols
  return Array.from({ length: theta.length / width }, (_, row) =>
    logSoftmax(theta.slice(row * width, (row + 1) * width))
  )
}

const shift = (
  { reference, tokenRewards = [] }: World,
  policy: ExactPolicy | undefined,
  { permute, scale }: { readonly scale: number; readonly permute: boolean },
  rng: Rng.Rng
): ExactPolicy => {
  const from = rowsOf(reference)
  const to = policy && rowsOf(policy)
  const changes = from.flatMap((row, state) =>
    Array.from(row, (logProb, symbol) => {
      if (to === undefined) return tokenRewards[symbol] ?? 0
      const target = to[state]?.[symbol]
      if (target === undefined) throw new RangeError("the policy is not of the world's family")
      return target - logProb
    })
  )
  const order = permute ? rng.permutation(0, changes.length) : changes.map((_, i) => i)
  const logProbs = from.flatMap((row) => [...row])
  return { family: reference.family, theta: logProbs.map((logProb, i) => logProb + scale * changes[order[i]!]!) }
}

const Small = Arbitrary.all([
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))),
  Arbitrary.schema(Law.Real(-3, 3))
]).pipe(
  Arbitrary.map(([seed, scale]) => {
    const rng = Rng.make(seed, "shifted")
    const family = { kind: "unigram" as const, symbols: 5, length: 3 }
    const theta = (label: string) => Array.from({ length: 5 }, (_, i) => rng.fork(label).normal(i))
    const world: World = { reference: { family, theta: theta("reference") }, tokenRewards: theta("rewards") }
    return { world, policy: { family, theta: theta("policy") }, scale, rng }
  })
)
const probabilities = (policy: ExactPolicy) => rowsOf(policy).flatMap((row) => Array.from(row, Math.exp))
const near = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) => a.every((x, i) => Math.abs(x - b[i]!) < 1e-9)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("by nothing, it is the start", Small, ({ policy, rng, world }) =>
    near(probabilities(shift(world, policy, { scale: 0, permute: true }, rng)), probabilities(world.reference))
  ),
  Law.make("by once the way to a policy, it is that policy", Small, ({ policy, rng, world }) =>
    near(probabilities(shift(world, policy, { scale: 1, permute: false }, rng)), probabilities(policy))
  ),
  Law.make("towards rewards, and back by as much, is the start", Small, ({ rng, scale, world }) => {
    const there = shift(world, undefined, { scale, permute: false }, rng)
    const back = shift({ ...world, reference: there }, undefined, { scale: -scale, permute: false }, rng)
    return near(probabilities(back), probabilities(world.reference))
  }),
  Law.make("permuted, the logits change by the same amounts in another order", Small, ({ rng, scale, world }) => {
    const start = rowsOf(world.reference).flatMap((row) => [...row])
    const { theta } = shift(world, undefined, { scale, permute: true }, rng)
    const amounts = theta.map((x, i) => x - start[i]!).sort((a, b) => a - b)
    return near(
      amounts,
      world.tokenRewards!.map((reward) => scale * reward).sort((a, b) => a - b)
    )
  })
]

/**
 * The world's start, its logits moved `scale` times along a direction: the way to a policy (a negative scale leads away from
 * it), or the rewards of symbols where none is given, which is `start exp(scale reward)` at every symbol.
 * **Details** `permute` deals what the logits change by out anew over all states and symbols, at random: as large a change, of no
 * meaning. For policies over symbols without contexts; others fail with `WorldInvalid`.
 */
export const shifted = Stage.make({
  name: "exact.shifted",
  description: "The start of a world, moved towards rewards or a policy, or away",
  module: import.meta.url,
  params: { scale: Schema.Finite.pipe(withDefault(1)), permute: Schema.Boolean.pipe(withDefault(false)) },
  input: WorldValue,
  inputs: { policy: Stage.optional(ExactPolicyValue) },
  output: ExactPolicyValue,
  random: true,
  laws,
  run: ({ input: world, inputs, params, rng }) =>
    Effect.try({
      try: () => shift(world, inputs.policy, params, rng),
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})
