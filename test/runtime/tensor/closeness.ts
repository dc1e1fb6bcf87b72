import type * as tf from "@tensorflow/tfjs"
import * as Rng from "../../../dsl/Rng.ts"

/** `|a - b| / |b|` in the Euclidean norm, float64. */
export const relativeError = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  if (a.length !== b.length) throw new Error(`${a.length} values against ${b.length}`)
  let difference = 0
  let size = 0
  for (let i = 0; i < a.length; i++) {
    difference += (a[i]! - b[i]!) ** 2
    size += b[i]! ** 2
  }
  return Math.sqrt(difference / size)
}

/** Standard normal values under a label, always the same. */
export const normals = (label: string, count: number, deviation = 1): Float32Array => {
  const rng = Rng.make(7, label)
  return Float32Array.from({ length: count }, (_, i) => deviation * rng.normal(i))
}

export const values = (tensor: tf.Tensor): Float32Array => tensor.dataSync<"float32">().slice()
