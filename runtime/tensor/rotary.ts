import * as tf from "@tensorflow/tfjs"

/** Cosines and sines of rotary position embedding: entry `position * pairs + i` turns the pair `i` of a head. */
export interface RotaryTable {
  readonly pairs: number
  readonly cos: Float64Array
  readonly sin: Float64Array
}

/**
 * The table for positions below `positions`: pair `i` of a head of `headDim` turns by `position * theta^(-2i / headDim)`.
 * **Details** Tables are shared between calls and grow by doubling; an old one stays right.
 * **Source** Su et al. 2021, arXiv 2104.09864; computed in float64.
 */
export const rotaryTable = (headDim: number, theta: number, positions: number): RotaryTable => {
  const key = `${headDim}:${theta}`
  const known = tables.get(key)
  const pairs = headDim / 2
  if (known && known.cos.length >= positions * pairs) return known
  const capacity = Math.max(64, positions, known ? (2 * known.cos.length) / pairs : 0)
  const cos = new Float64Array(capacity * pairs)
  const sin = new Float64Array(capacity * pairs)
  for (let position = 0; position < capacity; position++)
    for (let i = 0; i < pairs; i++) {
      const angle = position * theta ** ((-2 * i) / headDim)
      cos[position * pairs + i] = Math.cos(angle)
      sin[position * pairs + i] = Math.sin(angle)
    }
  const table = { pairs, cos, sin }
  tables.set(key, table)
  return table
}

const tables = new Map<string, RotaryTable>()

/** The table as two float32 tensors `[positions, headDim]`, each angle standing for both of its coordinates. */
export const rotaryTensors = (headDim: number, theta: number, positions: number): [tf.Tensor2D, tf.Tensor2D] => {
  const { cos, pairs, sin } = rotaryTable(headDim, theta, positions)
  const twice = (values: Float64Array) => {
    const out = new Float32Array(positions * headDim)
    for (let i = 0; i < out.length; i++) out[i] = values[Math.floor(i / headDim) * pairs + ((i % headDim) % pairs)]!
    return tf.tensor2d(out, [positions, headDim])
  }
  return [twice(cos), twice(sin)]
}

/**
 * Turns the vectors in the last axis of `x`, with cosines and sines that broadcast against it. A vector's halves are the two
 * coordinates (`[x1 cos - x2 sin, x2 cos + x1 sin]`), as Hugging Face lays Llama out.
 */
export const rotated = (x: tf.Tensor, cos: tf.Tensor, sin: tf.Tensor): tf.Tensor => {
  const [x1, x2] = tf.split(x, 2, -1) as [tf.Tensor, tf.Tensor]
  return tf.add(tf.mul(x, cos), tf.mul(tf.concat([tf.neg(x2), x1], -1), sin))
}
