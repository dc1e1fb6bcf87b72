import type * as tf from "@tensorflow/tfjs"
import type { Heads } from "../../tensor/causalAttention.ts"
import { rotaryTable } from "../../tensor/rotary.ts"
import { define } from "./memory.ts"
import { rotate, rotateBack } from "./rotate.ts"

interface Attributes extends Heads {
  readonly lengths: Int32Array
}

/** Attention weights are kept as lower triangles, row after row, head after head, sequence after sequence. */
const triangle = (length: number) => (length * (length + 1)) / 2

/** Vectors lie in scratch memory at a multiple of four coordinates, zeros behind. */
const padded = (headDim: number) => Math.ceil(headDim / 4) * 4

const checked = (rows: number, { headDim, heads, keyValueHeads, lengths }: Attributes) => {
  const total = lengths.reduce((sum, length) => sum + length, 0)
  if (total !== rows) throw new RangeError(`sequence lengths sum to ${total}, but there are ${rows} rows`)
  if (heads % keyValueHeads !== 0 || headDim % 2 !== 0)
    throw new RangeError(`${heads} heads of ${headDim} do not fit ${keyValueHeads} key-value heads`)
  return lengths.reduce((longest, length) => Math.max(longest, length), 0)
}

define<Attributes>("CausalAttention", (storage, { k, q, v }, attributes) => {
  const { headDim, heads, keyValueHeads, lengths, ropeTheta } = attributes
  const rows = q!.shape[0]!
  const longest = checked(rows, attributes)
  const table = rotaryTable(headDim, ropeTheta, longest)
  const out = storage.allocate([rows, heads * headDim])
  const weights = storage.allocate([lengths.reduce((sum, length) => sum + heads * triangle(length), 0)])
  const [qs, ks, vs] = [storage.floats(q!), storage.floats(k!), storage.floats(v!)]
  const [ys, ps] = [storage.floats(out), storage.floats(weights)]
  const queryStride = heads * headDim
  const keyStride = keyValueHeads * headDim
  const stride = padded(headDim)
  const keys = new Float64Array(longest * stride)
  const values = new Float64Array(longest * stride)
  const query = new Float64Array(stride)
  const mixed = new Float64Array(stride)
  const scores = new Float64Array(longest)
  const group = heads / keyValueHeads
  let start = 0
  let kept = 0
  for (const length of lengths) {
    for (let head = 0; head < heads; head++) {
      if (head % group === 0) {
        const column = (head / group) * headDim
        for (let j = 0; j < length; j++) {
          rotate(table, j, ks, (start + j) * keyStride + column, keys, j * stride, 1)
          copy(vs, (start + j) * keyStride + column, values, j * stride, headDim)
        }
      }
      for (let i = 0; i < length; i++) {
        const at = (start + i) * queryStride + head * headDim
        rotate(table, i, qs, at, query, 0, 1 / Math.sqrt(headDim))
        attend(query, keys, values, i + 1, scores, mixed)
        for (let d = 0; d < headDim; d++) ys[at + d] = mixed[d]!
        for (let j = 0; j <= i; j++) ps[kept + j] = scores[j]!
        kept += i + 1
      }
    }
    start += length
  }
  return [out, weights]
})

/**
 * One query over the first `count` keys: leaves its weights in `scores` and the mix of values in `mixed`. Vectors are padded
 * to fours, so that each inner loop holds four coordinates in registers and runs along the keys.
 */
const attend = (
  query: Float64Array,
  keys: Float64Array,
  values: Float64Array,
  count: number,
  scores: Float64Array,
  mixed: Float64Array
): void => {
  const stride = query.length
  products(query, keys, count, scores)
  let highest = -Infinity
  for (let j = 0; j < count; j++) if (scores[j]! > highest) highest = scores[j]!
  let total = 0
  for (let j = 0; j < count; j++) {
    const weight = Math.exp(scores[j]! - highest)
    scores[j] = weight
    total += weight
  }
  const normalizer = 1 / total
  for (let j = 0; j < count; j++) scores[j]! *= normalizer
  for (let d = 0; d < stride; d += 4) {
    let a = 0
    let b = 0
    let c = 0
    let e = 0
    for (let j = 0, row = d; j < count; j++, row += stride) {
      const weight = scores[j]!
      a += weight * values[row]!
      b += weight * values[row + 1]!
      c += weight * values[row + 2]!
      e += weight * values[row + 3]!
    }
    mixed[d] = a
    mixed[d + 1] = b
    mixed[d + 2] = c
    mixed[d + 3] = e
  }
}

/** Inner products of one padded vector with the first `count` padded rows. */
const products = (vector: Float64Array, rows: Float64Array, count: number, out: Float64Array): void => {
  const stride = vector.length
  out.fill(0, 0, count)
  for (let d = 0; d < stride; d += 4) {
    const a = vector[d]!
    const b = vector[d + 1]!
    const c = vector[d + 2]!
    const e = vector[d + 3]!
    for (let j = 0, row = d; j < count; j++, row += stride)
      out[j]! += a * rows[row]! + b * rows[row + 1]! + (c * rows[row + 2]! + e * rows[row + 3]!)
  }
}

define<Attributes>("CausalAttentionGradient", (storage, { dy, k, kept0: weights, q, v }, attributes) => {
  const { headDim, heads, keyValueHeads, lengths, ropeTheta } = attributes
  const longest = checked(q!.shape[0]!, attributes)
  const table = rotaryTable(headDim, ropeTheta, longest)
  const [dQuery, dKey, dValue] = [q!, k!, v!].map((input) => storage.allocate(input.shape)) as [
    tf.TensorInfo,
    tf.TensorInfo,
    tf.TensorInfo
  ]
  const [qs, ks, vs] = [storage.floats(q!), storage.floats(k!), storage.floats(v!)]
  const [ps, dys] = [storage.floats(weights!), storage.floats(dy!)]
  const dqs = storage.floats(dQuery).fill(0)
  const dks = storage.floats(dKey).fill(0)
  const dvs = storage.floats(dValue).fill(0)
  const queryStride = heads * headDim
  const keyStride = keyValueHeads * headDim
  const stride = padded(headDim)
  const [keys, values, dKeys, dValues] = [0, 1, 2, 3].map(() => new Float64Array(longest * stride)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array
  ]
  const [query, dQueryRow, dOut] = [0, 1, 2].map(() => new Float64Array(stride)) as [
    Float64Array,
    Float64Array,
    Float64Array
  ]
  const dScores = new Float64Array(longest)
  const group = heads / keyValueHeads
  const scale = 1 / Math.sqrt(headDim)
  let start = 0
  let kept = 0
  for (const length of lengths) {
    for (let head = 0; head < heads; head++) {
      const column = Math.floor(head / group) * headDim
      if (head % group === 0) {
        dKeys.fill(0)
        dValues.fill(0)
        for (let j = 0; j < length; j++) {
          rotate(table, j, ks, (start + j) * keyStride + column, keys, j * stride, 1)
          copy(vs, (start + j) * keyStride + column, values, j * stride, headDim)
        }
      }
      for (let i = 0; i < length; i++) {
        const at = (start + i) * queryStride + head * headDim
        rotate(table, i, qs, at, query, 0, scale)
        copy(dys, at, dOut, 0, headDim)
        attendBack(query, keys, values, dOut, ps.subarray(kept, kept + i + 1), dScores, dQueryRow, dKeys, dValues)
        rotateBack(table, i, dQueryRow, 0, dqs, at, scale)
        kept += i + 1
      }
      if (head % group === group - 1)
        for (let j = 0; j < length; j++) {
          const at = (start + j) * keyStride + column
          rotateBack(table, j, dKeys, j * stride, dks, at, 1)
          for (let d = 0; d < headDim; d++) dvs[at + d] = dValues[j * stride + d]!
        }
    }
    start += length
  }
  return [dQuery, dKey, dValue]
})

/**
 * Gradient of one query: with `p` its weights, `dv_j += p_j dOut`, `dp_j = dOut . v_j`,
 * `ds_j = p_j (dp_j - sum p dp)`, `dq = sum ds_j k_j`, `dk_j += ds_j q` (`q` already scaled).
 */
const attendBack = (
  query: Float64Array,
  keys: Float64Array,
  values: Float64Array,
  dOut: Float64Array,
  weights: Float32Array,
  dScores: Float64Array,
  dQuery: Float64Array,
  dKeys: Float64Array,
  dValues: Float64Array
): void => {
  const stride = query.length
  const count = weights.length
  products(dOut, values, count, dScores)
  let mean = 0
  for (let j = 0; j < count; j++) mean += weights[j]! * dScores[j]!
  for (let j = 0; j < count; j++) dScores[j] = weights[j]! * (dScores[j]! - mean)
  for (let d = 0; d < stride; d += 2) {
    const [q0, q1] = [query[d]!, query[d + 1]!]
    const [dOut0, dOut1] = [dOut[d]!, dOut[d + 1]!]
    let dQuery0 = 0
    let dQuery1 = 0
    for (let j = 0, row = d; j < count; j++, row += stride) {
      const weight = weights[j]!
      const dScore = dScores[j]!
      dQuery0 += dScore * keys[row]!
      dQuery1 += dScore * keys[row + 1]!
      dKeys[row]! += dScore * q0
      dKeys[row + 1]! += dScore * q1
      dValues[row]! += weight * dOut0
      dValues[row + 1]! += weight * dOut1
    }
    dQuery[d] = dQuery0
    dQuery[d + 1] = dQuery1
  }
}

const copy = (source: Float32Array, from: number, target: Float64Array, to: number, count: number): void => {
  for (let d = 0; d < count; d++) target[to + d] = source[from + d]!
}
