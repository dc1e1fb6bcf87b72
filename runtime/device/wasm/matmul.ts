import * as tf from "@tensorflow/tfjs"
import { type Epilogue, finish } from "./epilogue.ts"
import type { Heap } from "./host.ts"
import { override } from "./override.ts"

interface Layout {
  readonly transposeA: boolean
  readonly transposeB: boolean
}

/**
 * Product of the last two axes; the axes before them are broadcast against each other.
 * **Details** float32, any rank from 2 on. A row of the result has the same bits whatever the other rows are.
 * **Gotchas** Never the published kernel: that one keeps packed matrices by tensor, and a parameter may be written in place.
 */
export const multiply = (heap: Heap, a: tf.TensorInfo, b: tf.TensorInfo, layout: Layout): tf.TensorInfo => {
  for (const { dtype } of [a, b]) if (dtype !== "float32") throw new TypeError(`matMul of ${dtype} is not supported`)
  const { transposeA, transposeB } = layout
  const [storedRowsA, storedColumnsA] = a.shape.slice(-2) as [number, number]
  const [storedRowsB, storedColumnsB] = b.shape.slice(-2) as [number, number]
  const [rows, depth] = transposeA ? [storedColumnsA, storedRowsA] : [storedRowsA, storedColumnsA]
  const [columns, depthB] = transposeB ? [storedRowsB, storedColumnsB] : [storedColumnsB, storedRowsB]
  if (depth !== depthB) throw new RangeError(`matMul of inner sizes ${depth} and ${depthB}`)
  const [batchA, batchB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)]
  const batch = tf.backend_util.assertAndGetBroadcastShape(batchA, batchB)
  const out = heap.allocate([...batch, rows, columns])
  // One matrix on the right: the batch on the left is more rows.
  const merged = !transposeA && batchB.every((size) => size === 1)
  const height = merged ? rows * batch.reduce((product, size) => product * size, 1) : rows
  const { matmul, matmulScratch } = heap.exports
  heap.withScratch(matmulScratch!(height, columns, depth), (scratch) => {
    const [atA, atB, atOut] = [a, b, out].map(heap.address) as [number, number, number]
    const run = (indexA: number, indexB: number, index: number) =>
      matmul!(
        atA + indexA * rows * depth * 4,
        atB + indexB * columns * depth * 4,
        atOut + index * rows * columns * 4,
        ...[height, columns, depth, storedColumnsA, storedColumnsB, columns],
        ...[transposeA ? 1 : 0, transposeB ? 1 : 0, 0, scratch]
      )
    if (merged) return void run(0, 0, 0)
    const [fromA, fromB] = [positions(batchA, batch), positions(batchB, batch)]
    for (let i = 0; i < fromA.length; i++) run(fromA[i]!, fromB[i]!, i)
  })
  return out
}

/** For each index of `batch`, in order, the index into `shape`, which is broadcast to it. */
const positions = (shape: ReadonlyArray<number>, batch: ReadonlyArray<number>): ReadonlyArray<number> => {
  let found = [0]
  for (let axis = 0; axis < batch.length; axis++) {
    const size = shape[axis - batch.length + shape.length] ?? 1
    found = found.flatMap((at) => Array.from({ length: batch[axis]! }, (_, i) => (size === 1 ? at : at * size + i)))
  }
  return found
}

export const matmulKernels = [
  override<Layout>(tf.BatchMatMul, (heap, { a, b }, layout) => multiply(heap, a!, b!, layout)),
  override<Layout & Epilogue>(tf._FusedMatMul, (heap, inputs, attributes, others) =>
    finish(heap, multiply(heap, inputs.a!, inputs.b!, attributes), inputs, attributes, others)
  )
]
