import type * as tf from "@tensorflow/tfjs"
import { call, define, differentiable } from "./kernel.ts"

/**
 * Scales each row to unit root mean square, then by a learned weight: `y = x / sqrt(mean(x^2) + epsilon) * weight`.
 * **Details** `x` is `[N, D]`, `weight` `[D]`, the result `[N, D]`. Sums run in float64.
 * **Source** Zhang and Sennrich 2019, arXiv 1910.07467; epsilon stands inside the root, as in Llama.
 */
export const rmsNorm = (x: tf.Tensor2D, weight: tf.Tensor1D, epsilon: number): tf.Tensor2D =>
  differentiable([x, weight], (x, weight) => {
    const [value, scale] = call(FORWARD, { x, weight }, { epsilon }) as [tf.Tensor, tf.Tensor]
    return {
      value,
      saved: [x, weight, scale],
      gradient: (dy, [x, weight, scale]) => call(BACKWARD, { x: x!, weight: weight!, scale: scale!, dy }, {})
    }
  }) as tf.Tensor2D

const FORWARD = "PreflineRmsNorm"
const BACKWARD = "PreflineRmsNormGradient"

define<{ epsilon: number }>(FORWARD, (storage, { weight, x }, { epsilon }) => {
  const [rows, width] = x!.shape as [number, number]
  const out = storage.allocate([rows, width])
  const scale = storage.allocate([rows])
  const xs = storage.floats(x!)
  const ws = storage.floats(weight!)
  const ys = storage.floats(out)
  const scales = storage.floats(scale)
  for (let n = 0; n < rows; n++) {
    const at = n * width
    let squares = 0
    for (let d = 0; d < width; d++) squares += xs[at + d]! * xs[at + d]!
    const r = 1 / Math.sqrt(squares / width + epsilon)
    scales[n] = r
    for (let d = 0; d < width; d++) ys[at + d] = xs[at + d]! * r * ws[d]!
  }
  return [out, scale]
})

/** `dx = r (w dy - x r^2 mean(w dy x))` and `dw = sum over rows of dy x r`, with `r` the row's scale. */
define(BACKWARD, (storage, { dy, scale, weight, x }) => {
  const [rows, width] = x!.shape as [number, number]
  const dx = storage.allocate([rows, width])
  const dw = storage.allocate([width])
  const xs = storage.floats(x!)
  const ws = storage.floats(weight!)
  const scales = storage.floats(scale!)
  const dys = storage.floats(dy!)
  const dxs = storage.floats(dx)
  const sums = new Float64Array(width)
  for (let n = 0; n < rows; n++) {
    const at = n * width
    const r = scales[n]!
    let dot = 0
    for (let d = 0; d < width; d++) {
      const along = dys[at + d]! * xs[at + d]!
      sums[d]! += along * r
      dot += along * ws[d]!
    }
    const pull = (dot / width) * r * r * r
    for (let d = 0; d < width; d++) dxs[at + d] = r * ws[d]! * dys[at + d]! - pull * xs[at + d]!
  }
  storage.floats(dw).set(sums)
  return [dx, dw]
})
