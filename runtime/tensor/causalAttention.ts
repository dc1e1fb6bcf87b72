import * as tf from "@tensorflow/tfjs"
import { gatherRows, scatterRows } from "./gatherRows.ts"
import { operation } from "./operations.ts"
import { rotaryTensors, rotated } from "./rotary.ts"

/** The heads of an attention layer. `heads` is a multiple of `keyValueHeads`; each of those serves a run of queries. */
export interface Heads {
  readonly heads: number
  readonly keyValueHeads: number
  readonly headDim: number
  readonly ropeTheta: number
}

/**
 * Causal self-attention with rotary positions over sequences that lie behind one another, without padding.
 * **Details** `q` is `[N, heads * headDim]`, `k` and `v` `[N, keyValueHeads * headDim]`, before rotation; the result is
 * `[N, heads * headDim]`. `lengths` cuts the N rows into sequences (they sum to N); positions count from 0 in each.
 * Scores are scaled by `1 / sqrt(headDim)`. On devices with a kernel for it a row's result depends on its own sequence only,
 * bit for bit. Throws a `RangeError` for lengths or heads that do not fit.
 * **Source** Vaswani et al. 2017, arXiv 1706.03762; grouped queries: Ainslie et al. 2023, arXiv 2305.13245.
 */
export const causalAttention = (
  q: tf.Tensor2D,
  k: tf.Tensor2D,
  v: tf.Tensor2D,
  lengths: Int32Array,
  heads: Heads
): tf.Tensor2D => {
  const total = lengths.reduce((sum, length) => sum + length, 0)
  if (total !== q.shape[0]) throw new RangeError(`sequence lengths sum to ${total}, but there are ${q.shape[0]} rows`)
  if (heads.heads % heads.keyValueHeads !== 0 || heads.headDim % 2 !== 0)
    throw new RangeError(`${heads.heads} heads of ${heads.headDim} do not fit ${heads.keyValueHeads} key-value heads`)
  return CausalAttention({ q, k, v }, { lengths, ...heads }) as tf.Tensor2D
}

export interface CausalAttributes extends Heads {
  readonly lengths: Int32Array
}

/** Composed: sequences padded to the longest, queries of a group stacked on their key-value head. */
export const CausalAttention = operation({
  name: "CausalAttention",
  inputs: ["q", "k", "v"],
  composed: ({ k, q, v }, { headDim, heads, keyValueHeads, lengths, ropeTheta }: CausalAttributes) => {
    const longest = lengths.reduce((most, length) => Math.max(most, length), 0)
    const rows = q.shape[0]!
    if (rows === 0) return tf.zeros([0, heads * headDim])
    const group = heads / keyValueHeads
    const padding = paddedRows(lengths, longest)
    const batch = lengths.length
    const [cos, sin] = rotaryTensors(headDim, ropeTheta, longest)
    /** `[N, count * headDim]` -> `[batch, count, longest, headDim]`. */
    const split = (x: tf.Tensor, count: number) => {
      const padded = rows === batch * longest ? x : scatterRows(x as tf.Tensor2D, padding, batch * longest)
      return tf.transpose(tf.reshape(padded, [batch, longest, count, headDim]), [0, 2, 1, 3])
    }
    const queries = tf.reshape(tf.mul(rotated(split(q, heads), cos, sin), 1 / Math.sqrt(headDim)), [
      batch * keyValueHeads,
      group * longest,
      headDim
    ])
    const [keys, values] = [rotated(split(k, keyValueHeads), cos, sin), split(v, keyValueHeads)].map((x) =>
      tf.reshape(x, [batch * keyValueHeads, longest, headDim])
    ) as [tf.Tensor3D, tf.Tensor3D]
    const weights = tf.softmax(tf.add(tf.matMul(queries, keys, false, true), causalMask(longest, group)))
    const mixed = tf.reshape(tf.matMul(weights, values), [batch, heads, longest, headDim])
    const packed = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch * longest, heads * headDim]) as tf.Tensor2D
    return rows === batch * longest ? packed : gatherRows(packed, padding)
  }
})

/** Where each row stands once every sequence takes `longest` rows. */
const paddedRows = (lengths: Int32Array, longest: number): Int32Array => {
  const at: Array<number> = []
  lengths.forEach((length, sequence) => {
    for (let position = 0; position < length; position++) at.push(sequence * longest + position)
  })
  return Int32Array.from(at)
}

/** `[1, group * length, length]`: 0 where a query sees a key, hugely negative where the key comes later. */
const causalMask = (length: number, group: number): tf.Tensor3D => {
  const mask = new Float32Array(group * length * length)
  for (let row = 0; row < group * length; row++) mask.fill(-3e38, row * length + (row % length) + 1, (row + 1) * length)
  return tf.tensor3d(mask, [1, group * length, length])
}
