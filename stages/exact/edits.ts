import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import { type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { type Policy, sampleRow } from "../../runtime/exact/Policy.ts"
import { completionOf, promptOf } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"

/** An answer of the policy and the same with one symbol replaced, the better one chosen; none where they are worth the same. */
const edited = (policy: Policy, worth: ReadonlyArray<number>, i: number, rng: Rng.Rng): ReadonlyArray<Pair> => {
  const row = sampleRow(policy, 0, rng.fork("answer"))
  if (row.tokens.length === 0) return []
  const at = rng.int(0, row.tokens.length)
  const [before, drawn] = [row.tokens[at]!, rng.int(1, worth.length - 1)]
  const after = drawn < before ? drawn : drawn + 1
  const gap = worth[after]! - worth[before]!
  if (gap === 0) return []
  const other = { ...row, tokens: row.tokens.with(at, after) }
  const [chosen, rejected] = gap > 0 ? [other, row] : [row, other]
  return [
    {
      id: `${i}`,
      prompt: promptOf(0),
      chosen: completionOf(chosen),
      rejected: completionOf(rejected),
      margin: Math.abs(gap)
    }
  ]
}

const editsOf = ({ reference, tokenRewards }: World, count: number, rng: Rng.Rng): ReadonlyArray<Pair> => {
  if (tokenRewards === undefined || tokenRewards.length < 2)
    throw new RangeError("edits need a world of at least two symbols with rewards")
  const policy = policyOf(reference)
  return Array.from({ length: count }, (_, i) => edited(policy, tokenRewards, i, rng.fork(i))).flat()
}

const Case = Arbitrary.all([
  Arbitrary.array(Arbitrary.schema(Schema.Literals([-1, 0, 1, 2])), { minLength: 2, maxLength: 4 }),
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 })))
]).pipe(
  Arbitrary.map(([tokenRewards, seed]) => {
    const symbols = tokenRewards.length
    const world: World = {
      reference: {
        family: { kind: "markov", symbols, horizon: 5, endless: false },
        theta: Array.from({ length: (symbols + 1) ** 2 }, () => 0)
      },
      tokenRewards
    }
    return { world, pairs: editsOf(world, 20, Rng.make(seed, "edits")) }
  })
)
const differing = ({ chosen, rejected }: Pair) =>
  chosen.tokens!.flatMap((symbol, t) => (symbol === rejected.tokens![t] ? [] : [t]))

const laws: ReadonlyArray<Law.Law> = [
  Law.make("the two answers differ in one symbol", Case, ({ pairs }) =>
    pairs.every(
      (pair) =>
        differing(pair).length === 1 &&
        pair.chosen.tokens!.length === pair.rejected.tokens!.length &&
        pair.chosen.finish === pair.rejected.finish
    )
  ),
  Law.make("the chosen one's symbol is worth more, by the margin", Case, ({ pairs, world }) =>
    pairs.every((pair) => {
      const [at] = differing(pair)
      const worth = (side: "chosen" | "rejected") => world.tokenRewards![pair[side].tokens![at!]!]!
      return worth("chosen") - worth("rejected") === pair.margin && pair.margin > 0
    })
  ),
  Law.make("where all symbols are worth the same there is no pair", Case, ({ world }) => {
    const flat = { ...world, tokenRewards: world.tokenRewards!.map(() => 1) }
    return editsOf(flat, 20, Rng.make(0, "edits")).length === 0
  })
]

/**
 * Near-duplicates: answers of the world's start, each beside itself with one symbol, at an even draw, replaced by another one.
 * **Details** The one whose symbols are worth more is chosen. Two that are worth the same, and empty answers, make no pair, so
 * there may be fewer than `count`. Pair `i` draws from fork `i` of the generator.
 */
export const edits = Stage.make({
  name: "exact.edits",
  description: "Pairs of answers that differ in one symbol",
  module: import.meta.url,
  params: { count: Count },
  input: WorldValue,
  output: Pairs,
  random: true,
  laws,
  run: ({ input, params, rng }) =>
    Stream.unwrap(
      Effect.try({
        try: () => Stream.fromIterable(editsOf(input, params.count, rng)),
        catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    )
})
