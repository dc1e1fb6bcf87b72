import type { Heads } from "../../tensor/causalAttention.ts"
import { rotaryTable } from "../../tensor/rotary.ts"
import { define } from "./memory.ts"
import { rotate } from "./rotate.ts"

interface Attributes extends Heads {
  readonly slots: Int32Array
  readonly positions: Int32Array
}

define<Attributes>("CachedAttention", (storage, { k, keys, q, v, values }, attributes) => {
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
