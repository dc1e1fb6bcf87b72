import * as tf from "@tensorflow/tfjs"
import { operation } from "./operations.ts"

/**
 * Picks rows of a matrix: `[R, D]` and `n` row numbers give `[n, D]`. Rows may repeat. The gradient is `scatterRows`.
 * **Details** The embedding look-up, and the choice of the positions whose logits are wanted. The row numbers stay on the
 * host. Throws a `RangeError` for a row outside the matrix.
 */
export const gatherRows = (x: tf.Tensor2D, rows: Int32Array): tf.Tensor2D => {
  check(rows, x.shape[0])
  return GatherRows({ x }, { rows }) as tf.Tensor2D
}

/**
 * Adds rows into a matrix of zeros: `[n, D]` and `n` row numbers below `count` give `[count, D]`. Rows that meet are
 * summed, in order where the device has a kernel for it. The gradient is `gatherRows`.
 */
export const scatterRows = (x: tf.Tensor2D, rows: Int32Array, count: number): tf.Tensor2D => {
  if (rows.length !== x.shape[0]) throw new RangeError(`${rows.length} row numbers for ${x.shape[0]} rows`)
  check(rows, count)
  return ScatterRows({ x }, { rows, count }) as tf.Tensor2D
}

export const GatherRows = operation({
  name: "GatherRows",
  inputs: ["x"],
  composed: ({ x }, { rows }: { readonly rows: Int32Array }) => tf.gather(x, tf.tensor1d(rows, "int32")),
  gradient: (dy, { x }, { rows }): ReadonlyArray<tf.Tensor> => [ScatterRows({ x: dy }, { rows, count: x.shape[0]! })]
})

export const ScatterRows = operation({
  name: "ScatterRows",
  inputs: ["x"],
  composed: ({ x }, { count, rows }: { readonly rows: Int32Array; readonly count: number }) =>
    tf.unsortedSegmentSum(x, tf.tensor1d(rows, "int32"), count),
  gradient: (dy, _, { rows }) => [GatherRows({ x: dy }, { rows })]
})

const check = (rows: Int32Array, count: number): void => {
  for (const row of rows)
    if (!(row >= 0 && row < count)) throw new RangeError(`row ${row} is outside a matrix of ${count} rows`)
}
