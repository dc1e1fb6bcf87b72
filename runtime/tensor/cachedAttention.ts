import type * as tf from "@tensorflow/tfjs"
import type { Heads } from "./causalAttention.ts"
import { call, define } from "./kernel.ts"
import { rotaryTable, rotate } from "./rotary.ts"

/**
 * Attention of new tokens over a key-value cache, for decoding: appends each row's key and value to the cache, then
 * attends over its sequence so far. It has no gradient.
 * **Details** `q` `[N, heads * headDim]`, `k` and `v` `[N, keyValueHeads * headDim]`, before rotation. `keys` and `values`
 * are the caches `[slots, capacity, keyValueHeads * headDim]`, **written in place**. Row `r` belongs to the sequence in
 * cache slot `slots[r]`, at `positions[r]`; rows of one sequence come in order of position. A prompt is thus many rows, a
 * decoding step one row per sequence, and sequences of any lengths mix without padding. A row's result depends on its own
 * slot only, bit for bit.
 */
export const cachedAttention = (
  q: tf.Tensor2D,
  k: tf.Tensor2D,
  v: tf.Tensor2D,
  cache: { readonly keys: tf.Tensor3D; readonly values: tf.Tensor3D },
  rows: { readonly slots: Int32Array; readonly positions: Int32Array },
  heads: Heads
): tf.Tensor2D => call(KERNEL, { q, k, v, ...cache }, { ...rows, ...heads })[0] as tf.Tensor2D

const KERNEL = "PreflineCachedAttention"

interface Attributes extends Heads {
  readonly slots: Int32Array
  readonly positions: Int32Array
}

define<Attributes>(KERNEL, (storage, { k, keys, q, v, values }, attributes) => {
  const { headDim, heads, keyValueHeads, positions, ropeTheta, slots } = attributes
  const rows = q!.shape[0]!
  const [slotCount, capacity, width] = keys!.shape as [number, number, number]
  const last = positions.reduce((highest, position) => Math.max(highest, position), 0)
  if (last >= capacity) throw new RangeError(`position ${last} is outside a cache of ${capacity} positions`)
  if (slots.some((slot) => !(slot >= 0 && slot < slotCount)))
    throw new RangeError(`a slot is outside ${slotCount} slots`)
  const table = rotaryTable(headDim, ropeTheta, last + 1)
  const out = storage.allocate([rows, heads * headDim])
  const [qs, ks, vs] = [storage.floats(q!), storage.floats(k!), storage.floats(v!)]
  const [cachedKeys, cachedValues, ys] = [storage.floats(keys!), storage.floats(values!), storage.floats(out)]
  const group = heads / keyValueHeads
  const vector = new Float64Array(headDim)
  const scores = new Float64Array(last + 1)
  for (let row = 0; row < rows; row++) {
    const position = positions[row]!
    const base = slots[row]! * capacity * width
    for (let column = 0; column < width; column += headDim) {
      const to = base + position * width + column
      rotate(table, position, ks, row * width + column, vector, 0, 1)
      for (let d = 0; d < headDim; d++) {
        cachedKeys[to + d] = vector[d]!
        cachedValues[to + d] = vs[row * width + column + d]!
      }
    }
    for (let head = 0; head < heads; head++) {
      const at = (row * heads + head) * headDim
      const from = base + Math.floor(head / group) * headDim
      rotate(table, position, qs, at, vector, 0, 1 / Math.sqrt(headDim))
      mix(vector, cachedKeys, cachedValues, from, width, position + 1, scores, headDim, ys, at)
    }
  }
  return [out]
})

/** One query over the first `count` cached positions, whose vectors start at `from` and lie `stride` apart. */
const mix = (
  query: Float64Array,
  keys: Float32Array,
  values: Float32Array,
  from: number,
  stride: number,
  count: number,
  scores: Float64Array,
  headDim: number,
  ys: Float32Array,
  at: number
): void => {
  let highest = -Infinity
  for (let j = 0, row = from; j < count; j++, row += stride) {
    let even = 0
    let odd = 0
    for (let d = 0; d < headDim; d += 2) {
      even += query[d]! * keys[row + d]!
      odd += query[d + 1]! * keys[row + d + 1]!
    }
    scores[j] = even + odd
    if (scores[j]! > highest) highest = scores[j]!
  }
  let total = 0
  for (let j = 0; j < count; j++) {
    scores[j] = Math.exp(scores[j]! - highest)
    total += scores[j]!
  }
  for (let d = 0; d < headDim; d += 2) {
    let even = 0
    let odd = 0
    for (let j = 0, row = from + d; j < count; j++, row += stride) {
      even += scores[j]! * values[row]!
      odd += scores[j]! * values[row + 1]!
    }
    ys[at + d] = even / total
    ys[at + d + 1] = odd / total
  }
}
