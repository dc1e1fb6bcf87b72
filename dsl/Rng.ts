/**
 * Counter-based random numbers: a draw is a pure function of (key, index), so it does not depend on the order in which
 * concurrent fibers ask for it. Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
 */

/** A stream of independent draws, addressed by a non-negative integer index below 2^53. Holds no state. */
export interface Rng {
  /** Four independent words in [0, 2^32). */
  readonly words: (index: number) => readonly [number, number, number, number]
  /** Uniform in [0, 1), 53 bits. */
  readonly uniform: (index: number) => number
  /** Standard normal (Box-Muller). */
  readonly normal: (index: number) => number
  /** Uniform integer in [0, bound), `1 <= bound <= 2^32`; the bias is below 2^-21. */
  readonly int: (index: number, bound: number) => number
  /** A uniformly random order of 0..length-1 (Fisher-Yates); `index` selects which order. */
  readonly permutation: (index: number, length: number) => Uint32Array
  /** A stream independent of this one and of its forks under other labels; the labels `1` and `"1"` differ. */
  readonly fork: (label: string | number) => Rng
}

type Words = readonly [number, number, number, number]

const DRAW = 0
const LABEL_NUMBER = 1
const LABEL_TEXT = 2

/** The generator of a node: `seed` is the run's seed (any integer below 2^53), `stream` the stage's stream name. */
export const make = (seed: number, stream: string): Rng => keyed(0x70726566, 0x6c696e65).fork(seed).fork(stream)

const keyed = (k0: number, k1: number): Rng => {
  const words = (index: number) => philox(k0, k1, low(index), high(index), 0, DRAW)
  const uniform = (index: number) => {
    const [a, b] = words(index)
    return ((a >>> 5) * 67108864 + (b >>> 6)) / 9007199254740992
  }
  const fork = (label: string | number) => {
    const [a, b] = typeof label === "number" ? absorbNumber(k0, k1, label) : absorbText(k0, k1, label)
    return keyed(a, b)
  }
  return {
    words,
    uniform,
    fork,
    normal: (index) => {
      const [a, b, c, d] = words(index)
      const radius = ((a >>> 5) * 67108864 + (b >>> 6) + 1) / 9007199254740992
      const angle = ((c >>> 5) * 67108864 + (d >>> 6)) / 9007199254740992
      return Math.sqrt(-2 * Math.log(radius)) * Math.cos(2 * Math.PI * angle)
    },
    int: (index, bound) => Math.floor(uniform(index) * bound),
    permutation: (index, length) => {
      const order = Uint32Array.from({ length }, (_, i) => i)
      const draws = fork(index)
      for (let i = length - 1; i > 0; i--) {
        const j = draws.int(i, i + 1)
        const held = order[i]!
        order[i] = order[j]!
        order[j] = held
      }
      return order
    }
  }
}

const low = (value: number) => value >>> 0
const high = (value: number) => Math.floor(value / 4294967296) >>> 0

const absorbNumber = (k0: number, k1: number, label: number): Words => {
  if (!Number.isSafeInteger(label))
    throw new RangeError(`a random stream's numeric label must be a safe integer, got ${label}`)
  const magnitude = Math.abs(label)
  return philox(k0, k1, low(magnitude), high(magnitude), label < 0 ? 1 : 0, LABEL_NUMBER)
}

/** Absorbs UTF-16 code units, six to a block, then their count, so that no two texts share a chain of blocks. */
const absorbText = (k0: number, k1: number, label: string): Words => {
  const unit = (i: number) => (i < label.length ? label.charCodeAt(i) : 0)
  let key: readonly [number, number, ...ReadonlyArray<number>] = [k0, k1]
  for (let i = 0; i < label.length; i += 6) {
    const block = (at: number) => (unit(i + at) | (unit(i + at + 1) << 16)) >>> 0
    key = philox(key[0], key[1], block(0), block(2), block(4), LABEL_TEXT)
  }
  return philox(key[0], key[1], label.length, 0, 1, LABEL_TEXT + 1)
}

/** Philox4x32 with ten rounds: key (k0, k1), counter (c0, c1, c2, c3). */
export const philox = (k0: number, k1: number, c0: number, c1: number, c2: number, c3: number): Words => {
  let [a, b, c, d] = [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0]
  let [x, y] = [k0 >>> 0, k1 >>> 0]
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, a)
    const low0 = Math.imul(0xd2511f53, a) >>> 0
    const high1 = multiplyHigh(0xcd9e8d57, c)
    const low1 = Math.imul(0xcd9e8d57, c) >>> 0
    a = (high1 ^ b ^ x) >>> 0
    b = low1
    c = (high0 ^ d ^ y) >>> 0
    d = low0
    x = (x + 0x9e3779b9) >>> 0
    y = (y + 0xbb67ae85) >>> 0
  }
  return [a, b, c, d]
}

const multiplyHigh = (p: number, q: number): number => {
  const p0 = p & 0xffff
  const p1 = p >>> 16
  const q0 = q & 0xffff
  const q1 = q >>> 16
  const middle = p1 * q0 + ((p0 * q0) >>> 16)
  const carry = p0 * q1 + (middle & 0xffff)
  return (p1 * q1 + Math.floor(middle / 65536) + Math.floor(carry / 65536)) >>> 0
}
