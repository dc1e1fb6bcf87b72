import { Arbitrary, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import { SomePairs } from "./generated.ts"
import { marginOf, withMargins } from "./marginNumbers.ts"

const weighed = (pair: Pair, by: number): Pair => ({
  ...pair,
  numbers: { ...pair.numbers, weight: by * (pair.numbers?.["weight"] ?? 1) }
})

/** The pair as it is, and as the other objective orders it. */
const both = (pair: Pair, weight: number): ReadonlyArray<Pair> => {
  const gap = marginOf(pair)
  const other = { ...pair, id: `${pair.id}/other`, margin: Math.abs(gap) }
  const ordered = gap < 0 ? swapped(other) : other
  return [
    ...(weight > 0 ? [weighed(pair, weight)] : []),
    ...(gap === 0 || weight === 1 ? [] : [weighed(ordered, 1 - weight)])
  ]
}

const swapped = (pair: Pair): Pair => {
  const { marginChosen = 0, marginRejected = 0 } = pair.numbers ?? {}
  return withMargins({ ...pair, chosen: pair.rejected, rejected: pair.chosen }, marginRejected, marginChosen)
}

const Case = Arbitrary.all([
  SomePairs,
  Arbitrary.schema(Schema.Literals([-1, 0, 2])),
  Arbitrary.schema(Schema.Literals([0.25, 0.5, 0.75]))
]).pipe(
  Arbitrary.map(([pairs, gap, weight]) => ({ pairs: pairs.map((pair) => withMargins(pair, gap, 0)), gap, weight }))
)
const total = (pairs: ReadonlyArray<Pair>) => pairs.reduce((sum, { numbers }) => sum + (numbers?.["weight"] ?? 1), 0)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("weights of a pair's two copies sum to its own, but for ties", Case, ({ gap, pairs, weight }) =>
    pairs.every((pair) => {
      const made = both(pair, weight)
      return Math.abs(total(made) - (gap === 0 ? weight : 1) * total([pair])) < 1e-12
    })
  ),
  Law.make("the other objective never prefers the answer that its copy rejects", Case, ({ pairs, weight }) =>
    pairs.every((pair) =>
      both(pair, weight)
        .slice(1)
        .every((copy) => marginOf(copy) > 0)
    )
  ),
  Law.make("at weight 1 they are the pairs, at weight 0 the other objective's alone", Case, ({ gap, pairs }) =>
    pairs.every((pair) => {
      const [own, other] = [both(pair, 1), both(pair, 0)]
      const rejects = gap < 0 ? pair.chosen : pair.rejected
      return own.length === 1 && own[0]!.chosen === pair.chosen && other.every(({ rejected }) => rejected === rejects)
    })
  )
]

/**
 * Pairs as two objectives order them, each with its weight: the pair itself with `weight`, in [0, 1], and a copy ordered by
 * the numbers `marginChosen` and `marginRejected` with `1 - weight`. A pair that ties under these has no copy.
 * **Details** A loss summed over them by weight mixes the two objectives' losses: the baseline that multi-objective methods
 * are compared with.
 */
export const mixed = Stage.make({
  name: "pair.mixed",
  description: "Pairs as two objectives order them, weighted",
  module: import.meta.url,
  params: { weight: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })) },
  input: Pairs,
  output: Pairs,
  laws,
  run: ({ input, params }) =>
    input.stream.pipe(
      Stream.map((pair) => both(pair, params.weight)),
      Stream.flattenIterable
    )
})
