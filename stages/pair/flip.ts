import { Arbitrary, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Probability } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { Seed, SomePairs } from "./generated.ts"

/** The pair as a noisy annotator tells it where `swap` is set; `numbers.flipped` tells whether it is swapped in all. */
const flipped = (pair: Pair, swap: boolean): Pair => {
  const before = pair.numbers?.["flipped"] === 1
  const numbers = { ...pair.numbers, flipped: before !== swap ? 1 : 0 }
  return swap ? { ...pair, chosen: pair.rejected, rejected: pair.chosen, numbers } : { ...pair, numbers }
}

const flips = (pairs: ReadonlyArray<Pair>, rate: number, seed: number) => {
  const draws = Rng.make(seed, "flip").fork("flip")
  return pairs.map((pair, place) => flipped(pair, draws.uniform(place) < rate))
}

const unmarked = ({ numbers = {}, ...pair }: Pair) => {
  const { flipped: _, ...rest } = numbers
  return JSON.stringify([pair, rest])
}
const same = (a: ReadonlyArray<Pair>, b: ReadonlyArray<Pair>) => String(a.map(unmarked)) === String(b.map(unmarked))

const Noisy = Arbitrary.all([SomePairs, Seed, Arbitrary.schema(Law.Real(0, 1))])

const laws: ReadonlyArray<Law.Law> = [
  Law.make("at rate 0 changes nothing but the mark", Noisy, ([pairs, seed]) => {
    const made = flips(pairs, 0, seed)
    return same(made, pairs) && made.every(({ numbers }) => numbers?.["flipped"] === 0)
  }),
  Law.make("at rate 1 swaps all, and twice none", Noisy, ([pairs, seed]) => {
    const once = flips(pairs, 1, seed)
    const twice = flips(once, 1, seed)
    return (
      once.every(({ chosen, numbers, rejected }, i) => {
        const { chosen: won, rejected: lost } = pairs[i]!
        return chosen === lost && rejected === won && numbers?.["flipped"] === 1
      }) &&
      same(twice, pairs) &&
      twice.every(({ numbers }) => numbers?.["flipped"] === 0)
    )
  }),
  Law.make("keeps ids, prompts, margins and their order, and marks just what it swaps", Noisy, ([pairs, seed, rate]) =>
    flips(pairs, rate, seed).every((pair, i) => {
      const { chosen, id, margin, prompt, rejected } = pairs[i]!
      const swapped = pair.numbers?.["flipped"] === 1
      return (
        pair.id === id &&
        pair.prompt === prompt &&
        pair.margin === margin &&
        pair.chosen === (swapped ? rejected : chosen) &&
        pair.rejected === (swapped ? chosen : rejected)
      )
    })
  ),
  Law.make("what it swaps at one rate, it swaps at every higher rate", Noisy, ([pairs, seed, rate]) => {
    const higher = flips(pairs, rate + (1 - rate) / 2, seed)
    return flips(pairs, rate, seed).every(
      ({ numbers }, i) => numbers?.["flipped"] === 0 || higher[i]!.numbers?.["flipped"] === 1
    )
  })
]

/**
 * Label noise: swaps the chosen and the rejected answer of each pair with probability `rate`, independently.
 * **Details** The draw depends on the seed and the pair's place alone, so more noise flips more pairs and the same
 * ones. `numbers.flipped` is 1 for a pair that stands the wrong way round, else 0 (swapped twice counts as not). The
 * margin stays as it is, the distance between the two scores: for a flipped pair it is that of rejected over chosen.
 * Other numbers and further answers are kept untouched, whichever answer they speak of.
 */
export const flip = Stage.make({
  name: "pair.flip",
  description: "Pairs with a share of their labels swapped",
  module: import.meta.url,
  params: { rate: Probability },
  input: Pairs,
  output: Pairs,
  random: true,
  laws,
  run: ({ input, params, rng }) => {
    const draws = rng.fork("flip")
    return Stream.zipWithIndex(input.stream).pipe(
      Stream.map(([pair, place]) => flipped(pair, draws.uniform(place) < params.rate))
    )
  }
})
