/** Random shapes and values of one sample: a function of the seed, the case and the sample's number, nothing else. */
import * as Rng from "../../dsl/Rng.ts"

export interface Draw {
  /** From 1 up: how long axes may be. */
  readonly size: number
  /** A whole number, both ends included. */
  readonly int: (low: number, high: number) => number
  readonly flag: () => boolean
  readonly pick: <A>(from: ReadonlyArray<A>) => A
  /** A float32 number in a range. */
  readonly real: (low: number, high: number) => number
  /** The length of an axis: 1 and primes are common. */
  readonly length: (most?: number) => number
  /** Lengths of `rank` axes, some hundred elements together at most. */
  readonly shape: (rank: number) => ReadonlyArray<number>
  readonly values: (shape: ReadonlyArray<number>, one?: () => number) => Float32Array
  readonly normal: () => number
  readonly order: (length: number) => ReadonlyArray<number>
}

const LENGTHS = [1, 2, 3, 5, 4, 7, 8, 11, 13, 17]

export const make = (seed: number, caseName: string, sample: number, size: number): Draw => {
  const rng = Rng.make(seed, `conformance/${caseName}`).fork(sample).fork(size)
  let index = 0
  const int = (low: number, high: number) => low + rng.int(index++, high - low + 1)
  const pick = <A>(from: ReadonlyArray<A>): A => from[int(0, from.length - 1)]!
  const normal = () => Math.fround(rng.normal(index++))
  const length = (most = Number.POSITIVE_INFINITY) =>
    pick(LENGTHS.slice(0, 2 * size).filter((length) => length <= most))
  return {
    size,
    int,
    pick,
    normal,
    length,
    flag: () => int(0, 1) === 1,
    real: (low, high) => Math.fround(low + (high - low) * rng.uniform(index++)),
    shape: (rank) => {
      let budget = 400
      const lengths = Array.from({ length: rank }, () => {
        const chosen = length(Math.max(1, Math.min(17, budget)))
        budget = Math.floor(budget / chosen)
        return chosen
      })
      return lengths
    },
    values: (shape, one = normal) =>
      Float32Array.from({ length: shape.reduce((product, length) => product * length, 1) }, one),
    order: (length) => Array.from(rng.permutation(index++, length))
  }
}
