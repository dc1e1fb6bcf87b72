import * as tf from "@tensorflow/tfjs"
import { causalAttention, type Heads } from "./causalAttention.ts"
import { gatherRows } from "./gatherRows.ts"
import { call, hasKernel } from "./operations.ts"
import { rotaryTensors, rotated } from "./rotary.ts"

/** Rotated keys, and values, of the sequences under way: two variables `[slots, capacity, keyValueHeads * headDim]`. */
export interface KeyValueCache {
  readonly keys: tf.Variable<tf.Rank.R3>
  readonly values: tf.Variable<tf.Rank.R3>
}

/** Which sequence each row belongs to, and where in it the row stands. */
export interface CacheRows {
  readonly slots: Int32Array
  readonly positions: Int32Array
}

/**
 * Attention of new tokens over a key-value cache, for decoding: writes each row's key and value to the cache, then attends
 * over its sequence so far. It has no gradient.
 * **Details** `q` `[N, heads * headDim]`, `k` and `v` `[N, keyValueHeads * headDim]`, before rotation. Row `r` belongs to the
 * sequence in cache slot `slots[r]`, at `positions[r]`; rows of one sequence come in order of position. A prompt is thus
 * many rows, a decoding step one row per sequence, and sequences of any lengths mix without padding. On devices with a
 * kernel for it a row's result depends on its own slot only, bit for bit. Throws a `RangeError` for a slot or a position
 * outside the cache.
 */
export const cachedAttention = (
  q: tf.Tensor2D,
  k: tf.Tensor2D,
  v: tf.Tensor2D,
  cache: KeyValueCache,
  rows: CacheRows,
  heads: Heads
): tf.Tensor2D => {
  const [slotCount, capacity] = cache.keys.shape
  for (const position of rows.positions)
    if (!(position >= 0 && position < capacity))
      throw new RangeError(`position ${position} is outside a cache of ${capacity} positions`)
  for (const slot of rows.slots)
    if (!(slot >= 0 && slot < slotCount)) throw new RangeError(`slot ${slot} is outside ${slotCount} slots`)
  return hasKernel("CachedAttention")
    ? (call("CachedAttention", { q, k, v, ...cache }, { ...rows, ...heads })[0] as tf.Tensor2D)
    : composedCachedAttention(q, k, v, cache, rows, heads)
}

/** The same of the library's own operations: prompts by causal attention, single tokens by a look into the cache. */
export const composedCachedAttention = (
  q: tf.Tensor2D,
  k: tf.Tensor2D,
  v: tf.Tensor2D,
  cache: KeyValueCache,
  rows: CacheRows,
  heads: Heads
): tf.Tensor2D =>
  tf.tidy(() => {
    write(k, v, cache, rows, heads)
    const { continued, fresh, lengths } = divide(rows)
    const parts: Array<tf.Tensor2D> = []
    if (fresh.length > 0) {
      const [fq, fk, fv] = [q, k, v].map((x) => gatherRows(x, fresh)) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
      parts.push(causalAttention(fq, fk, fv, lengths, heads))
    }
    if (continued.length > 0) parts.push(look(gatherRows(q, continued), cache, pick(rows, continued), heads))
    const order = new Int32Array(rows.slots.length)
    for (const [i, row] of [...fresh, ...continued].entries()) order[row] = i
    return parts.length === 1 ? parts[0]! : gatherRows(tf.concat(parts, 0), order)
  })

const pick = ({ positions, slots }: CacheRows, rows: Int32Array): CacheRows => ({
  positions: rows.map((row) => positions[row]!),
  slots: rows.map((row) => slots[row]!)
})

/** Runs of rows that begin a sequence at position 0, with their lengths, and all other rows. */
const divide = ({ positions, slots }: CacheRows) => {
  const fresh: Array<number> = []
  const lengths: Array<number> = []
  const continued: Array<number> = []
  let run = false
  for (let row = 0; row < slots.length; row++) {
    const goesOn = row > 0 && slots[row] === slots[row - 1] && positions[row] === positions[row - 1]! + 1
    run = positions[row] === 0 || (run && goesOn)
    if (!run) continued.push(row)
    else {
      fresh.push(row)
      if (positions[row] === 0) lengths.push(1)
      else lengths[lengths.length - 1]!++
    }
  }
  return { fresh: Int32Array.from(fresh), lengths: Int32Array.from(lengths), continued: Int32Array.from(continued) }
}

/** Puts rotated keys, and values, into the cache. */
const write = (k: tf.Tensor2D, v: tf.Tensor2D, cache: KeyValueCache, rows: CacheRows, heads: Heads): void => {
  const { headDim, keyValueHeads } = heads
  const [slots, capacity, width] = cache.keys.shape
  const count = rows.positions.length
  const at = tf.tensor2d(
    rows.slots.map((slot, row) => slot * capacity + rows.positions[row]!),
    [count, 1],
    "int32"
  )
  const [cos, sin] = turns(rows.positions, heads, capacity)
  const keys = rotated(tf.reshape(k, [count, keyValueHeads, headDim]), cos, sin)
  for (const [variable, updates] of [
    [cache.keys, tf.reshape(keys, [count, width])],
    [cache.values, v]
  ] as const) {
    const flat = tf.reshape(variable, [slots * capacity, width])
    variable.assign(tf.reshape(tf.tensorScatterUpdate(flat, at, updates), [slots, capacity, width]))
  }
}

/** Cosines and sines `[rows, 1, headDim]` at each row's position. */
const turns = (positions: Int32Array, { headDim, ropeTheta }: Heads, capacity: number) =>
  rotaryTensors(headDim, ropeTheta, capacity).map((table) => tf.expandDims(gatherRows(table, positions), 1)) as [
    tf.Tensor,
    tf.Tensor
  ]

/** One query per row over its slot's cache up to its position. */
const look = (q: tf.Tensor2D, cache: KeyValueCache, rows: CacheRows, heads: Heads): tf.Tensor2D => {
  const { headDim, keyValueHeads } = heads
  const count = rows.slots.length
  const length = rows.positions.reduce((most, position) => Math.max(most, position + 1), 0)
  const [cos, sin] = turns(rows.positions, heads, cache.keys.shape[1])
  const turned = rotated(tf.reshape(q, [count, heads.heads, headDim]), cos, sin)
  const queries = tf.reshape(tf.mul(turned, 1 / Math.sqrt(headDim)), [count * keyValueHeads, -1, headDim])
  const slots = tf.tensor1d(rows.slots, "int32")
  /** `[count * keyValueHeads, length, headDim]`. */
  const seen = (cached: tf.Tensor3D) => {
    const own = tf.gather(tf.slice(cached, [0, 0, 0], [-1, length, -1]), slots)
    const split = tf.transpose(tf.reshape(own, [count, length, keyValueHeads, headDim]), [0, 2, 1, 3])
    return tf.reshape(split, [count * keyValueHeads, length, headDim])
  }
  const mask = new Float32Array(count * keyValueHeads * length)
  for (let row = 0; row < count * keyValueHeads; row++)
    mask.fill(-3e38, row * length + rows.positions[Math.floor(row / keyValueHeads)]! + 1, (row + 1) * length)
  const scores = tf.matMul(queries, seen(cache.keys), false, true)
  const weights = tf.softmax(tf.add(scores, tf.tensor3d(mask, [count * keyValueHeads, 1, length])))
  return tf.reshape(tf.matMul(weights, seen(cache.values)), [count, heads.heads * headDim])
}
