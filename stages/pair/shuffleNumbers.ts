import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { Seed, SomePairs } from "./generated.ts"

/** Each pair with these numbers of another one, or without those that the other does not have. */
const shuffled = (pairs: ReadonlyArray<Pair>, names: ReadonlyArray<string>, rng: Rng.Rng): ReadonlyArray<Pair> => {
  const order = rng.permutation(0, pairs.length)
  const moves = new Set(names)
  return pairs.map((pair, i) => {
    const own = Object.entries(pair.numbers ?? {}).filter(([name]) => !moves.has(name))
    const given = Object.entries(pairs[order[i]!]!.numbers ?? {}).filter(([name]) => moves.has(name))
    return { ...pair, numbers: Object.fromEntries([...own, ...given]) }
  })
}

const Case = Arbitrary.all([SomePairs, Seed]).pipe(
  Arbitrary.map(([some, seed]) => ({
    pairs: some.map((pair, i): Pair => ({ ...pair, numbers: { kept: i, first: i, second: 10 * i } })),
    rng: Rng.make(seed, "shuffle")
  }))
)
const run = ({ pairs, rng }: { readonly pairs: ReadonlyArray<Pair>; readonly rng: Rng.Rng }) =>
  shuffled(pairs, ["first", "second"], rng)
const sorted = (pairs: ReadonlyArray<Pair>, name: string) =>
  String(pairs.map(({ numbers }) => numbers![name]!).sort((a, b) => a - b))

const laws: ReadonlyArray<Law.Law> = [
  Law.make("hands each number on once", Case, (given) =>
    ["first", "second"].every((name) => sorted(run(given), name) === sorted(given.pairs, name))
  ),
  Law.make("keeps the named numbers of a pair together", Case, (given) =>
    run(given).every(({ numbers }) => numbers!["second"] === 10 * numbers!["first"]!)
  ),
  Law.make("keeps all else of every pair, in order", Case, (given) =>
    run(given).every(({ numbers, ...pair }, i) => {
      const { numbers: before, ...own } = given.pairs[i]!
      return JSON.stringify(pair) === JSON.stringify(own) && numbers!["kept"] === before!["kept"]
    })
  )
]

/**
 * Deals some of the pairs' numbers out anew: a control in which labels say nothing of the pair that carries them, though
 * they are as often what they were.
 * **Details** One random permutation of the pairs, the same for all `names`. Holds all pairs.
 */
export const shuffleNumbers = Stage.make({
  name: "pair.shuffle-numbers",
  description: "Pairs with some of their numbers dealt out anew",
  module: import.meta.url,
  params: { names: Schema.NonEmptyArray(Schema.NonEmptyString) },
  input: Pairs,
  output: Pairs,
  random: true,
  laws,
  run: ({ input, params, rng }) =>
    Stream.unwrap(
      Effect.map(Stream.runCollect(input.stream), (pairs) => Stream.fromIterable(shuffled(pairs, params.names, rng)))
    )
})
