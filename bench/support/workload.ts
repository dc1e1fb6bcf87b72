/**
 * The work that all engines do, from formulas, so that no seed and no file decides what is compared: equal initial weights
 * and tokens in any language. `bench/python/workload.py` is the same in Python; the losses of the engines are compared.
 */

/** Vocabulary, width, layers, heads, width of the MLP, tokens in a sequence, pairs in a batch. */
export interface Sizes {
  readonly vocabulary: number
  readonly hidden: number
  readonly layers: number
  readonly heads: number
  readonly inner: number
  readonly length: number
  readonly pairs: number
}

/** Two layers, four heads, an MLP of four times the width. */
export const sized = (change: Partial<Sizes> = {}): Sizes => {
  const hidden = change.hidden ?? 64
  return { vocabulary: 512, layers: 2, heads: 4, inner: 4 * hidden, length: 64, pairs: 8, ...change, hidden }
}

/** Losses of `sized()` before each of the first five steps, as PyTorch 1.13 and 2.14 give them. */
export const KNOWN_LOSSES: ReadonlyArray<number> = [Math.LN2, 0.729505, 0.184371, 0.290331, 0.097495]

export const BETA = 0.1
export const LEARNING_RATE = 1e-3

export interface Matrix {
  readonly shape: readonly [number, number]
  readonly data: Float32Array
}

/**
 * For sampling, the layers' matrices are so many times larger: as drawn, a token's own embedding outweighs what the layers
 * add, and greedy tokens would say nothing about attention.
 */
export const SAMPLING_SCALE = 8

/**
 * The drawn matrices in order: embedding; per layer q|k|v, o, gate|up, down. They multiply from the right. Those of the
 * layers are multiplied by `scale`.
 */
export const matrices = ({ hidden, inner, layers, vocabulary }: Sizes, scale = 1): ReadonlyArray<Matrix> => {
  let k = 0
  const drawn = (rows: number, columns: number, times: number): Matrix => ({
    shape: [rows, columns],
    data: Float32Array.from({ length: rows * columns }, () => {
      k++
      const x = Math.sin(12.9898 * k) * 43758.5453
      return times * Math.fround(0.02 * Math.sqrt(3) * (2 * (x - Math.floor(x)) - 1))
    })
  })
  const layer = () => [
    drawn(hidden, 3 * hidden, scale),
    drawn(hidden, hidden, scale),
    drawn(hidden, 2 * inner, scale),
    drawn(inner, hidden, scale)
  ]
  return [drawn(vocabulary, hidden, 1), ...Array.from({ length: layers }, layer).flat()]
}

/** Tokens `[2 * pairs, length]` of a step, row-major; the first half of the rows are the chosen ones. */
export const tokens = (sizes: Sizes, step: number): Int32Array => {
  const count = 2 * sizes.pairs * sizes.length
  return formula(sizes.vocabulary, count, step * count)
}

/** Prompts for sampling. */
export const prompts = (sizes: Sizes, rows: number, length: number): ReadonlyArray<ReadonlyArray<number>> => {
  const all = formula(sizes.vocabulary, rows * length, 0)
  return Array.from({ length: rows }, (_, row) => [...all.subarray(row * length, (row + 1) * length)])
}

const formula = (vocabulary: number, count: number, from: number): Int32Array =>
  Int32Array.from(
    { length: count },
    (_, j) => Number(((BigInt(from + j) * 1103515245n + 12345n) % 2147483648n) >> 16n) % vocabulary
  )
