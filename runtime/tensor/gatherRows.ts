import type * as tf from "@tensorflow/tfjs"
import { call, define, differentiable } from "./kernel.ts"

/**
 * Picks rows of a matrix: `[N, D]` and `n` row numbers give `[n, D]`. Rows may repeat. The gradient is `scatterRows`.
 * **Details** The embedding look-up, and the choice of the positions whose logits are wanted. The row numbers stay on the
 * host, so no index tensor is made. Throws a `RangeError` for a row outside the matrix.
 */
export const gatherRows = (x: tf.Tensor2D, rows: Int32Array): tf.Tensor2D =>
  differentiable([x], (x) => ({
    value: call(GATHER, { x }, { rows })[0]!,
    saved: [],
    gradient: (dy) => call(SCATTER, { x: dy }, { rows, count: x.shape[0] })
  })) as tf.Tensor2D

/**
 * Adds rows into a matrix of zeros: `[n, D]` and `n` row numbers below `count` give `[count, D]`. Rows that meet are
 * summed, in order. The gradient is `gatherRows`.
 */
export const scatterRows = (x: tf.Tensor2D, rows: Int32Array, count: number): tf.Tensor2D =>
  differentiable([x], (x) => ({
    value: call(SCATTER, { x }, { rows, count })[0]!,
    saved: [],
    gradient: (dy) => call(GATHER, { x: dy }, { rows })
  })) as tf.Tensor2D

const GATHER = "PreflineGatherRows"
const SCATTER = "PreflineScatterRows"

define<{ rows: Int32Array }>(GATHER, (storage, { x }, { rows }) => {
  const [count, width] = x!.shape as [number, number]
  for (const row of rows)
    if (!(row >= 0 && row < count)) throw new RangeError(`row ${row} is outside a matrix of ${count} rows`)
  const out = storage.allocate([rows.length, width])
  const source = storage.floats(x!)
  const target = storage.floats(out)
  for (let i = 0; i < rows.length; i++) {
    const from = rows[i]! * width
    const to = i * width
    for (let d = 0; d < width; d++) target[to + d] = source[from + d]!
  }
  return [out]
})

define<{ rows: Int32Array; count: number }>(SCATTER, (storage, { x }, { count, rows }) => {
  const width = x!.shape[1]!
  for (const row of rows)
    if (!(row >= 0 && row < count)) throw new RangeError(`row ${row} is outside a matrix of ${count} rows`)
  const out = storage.allocate([count, width])
  const source = storage.floats(x!)
  const target = storage.floats(out).fill(0)
  for (let i = 0; i < rows.length; i++) {
    const to = rows[i]! * width
    const from = i * width
    for (let d = 0; d < width; d++) target[to + d]! += source[from + d]!
  }
  return [out]
})
