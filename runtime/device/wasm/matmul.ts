import * as tf from "@tensorflow/tfjs"
import { type Epilogue, finish } from "./epilogue.ts"
import type { Heap } from "./host.ts"
import { override } from "./override.ts"
import { CALLS } from "./protocol.ts"
import { teamOf } from "./threads.ts"

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
  // One matrix on the right: the batch on the left is more rows.
  const merged = !transposeA && batchB.every((size) => size === 1)
  const height = merged ? rows * batch.reduce((product, size) => product * size, 1) : rows
  const product: Product = {
    ...{ rows: height, columns, depth, stepA: storedColumnsA, stepB: storedColumnsB, transposeA, transposeB },
    pairs: merged ? [[0, 0]] : zip(positions(batchA, batch), positions(batchB, batch))
  }
  const out = heap.allocate([...batch, rows, columns])
  if (run(heap, product, heap.address(a), heap.address(b), heap.address(out))) return out
  // A helper may still write to the first one, so that one is never freed.
  const other = heap.allocate([...batch, rows, columns])
  run(heap, product, heap.address(a), heap.address(b), heap.address(other))
  return other
}

/** Products of matrices of one shape. */
interface Product extends Layout {
  readonly rows: number
  readonly columns: number
  readonly depth: number
  /** Elements from one stored row to the next. */
  readonly stepA: number
  readonly stepB: number
  /** Which matrix on the left and which on the right, for each matrix of the result. */
  readonly pairs: ReadonlyArray<readonly [number, number]>
}

/** Addresses in bytes. False if a helper did not answer: see `Team`. */
const run = (heap: Heap, product: Product, a: number, b: number, out: number): boolean => {
  const { columns, depth, pairs, rows } = product
  const { matmul, matmulScratch } = heap.exports
  const [sizeA, sizeB, size] = [rows * depth * 4, columns * depth * 4, rows * columns * 4]
  const work = 2 * rows * columns * depth
  const team = work * pairs.length < WORTH ? undefined : teamOf(heap)
  if (!team?.isReady()) {
    const whole = { row: 0, rows, column: 0, columns }
    heap.withScratch(matmulScratch!(rows, columns, depth), (scratch) => {
      for (const [i, [left, right]] of pairs.entries())
        matmul!(...argumentsOf(product, whole, a + left * sizeA, b + right * sizeB, out + i * size), scratch)
    })
    return true
  }
  const finest = Math.min(team.threads * 2, Math.max(team.threads, Math.round(work / GRAIN)))
  const pieces = cut(product, Math.ceil(finest / pairs.length))
  const calls: Array<ReadonlyArray<number>> = []
  for (const [i, [left, right]] of pairs.entries())
    for (const piece of pieces)
      calls.push(argumentsOf(product, piece, a + left * sizeA, b + right * sizeB, out + i * size))
  const scratch = pieces.reduce((most, piece) => Math.max(most, matmulScratch!(piece.rows, piece.columns, depth)), 0)
  for (let i = 0; i < calls.length; i += CALLS)
    if (!team.run("matmul", calls.length > CALLS ? calls.slice(i, i + CALLS) : calls, scratch)) return false
  return true
}

/** Floating-point operations from which another thread is worth asking, which takes some one or two microseconds. */
const WORTH = 250_000

/** Operations of a piece, about: a hundred microseconds. Smaller ones pack more often, larger ones end less evenly. */
const GRAIN = 4_000_000

/** A part of a product: some rows, some columns. */
interface Piece {
  readonly row: number
  readonly rows: number
  readonly column: number
  readonly columns: number
}

/**
 * Cuts a product into so many pieces at most, along the axis where less is packed twice: a piece packs all of its columns of
 * the right side, and of the left side what is stored by columns.
 */
const cut = ({ columns, rows, transposeA }: Product, count: number): ReadonlyArray<Piece> => {
  const byColumns = columns >= 2 * COLUMNS && (!transposeA || columns >= rows)
  const [size, unit] = byColumns ? [columns, COLUMNS] : [rows, ROWS]
  const step = Math.ceil(size / Math.max(1, count) / unit) * unit
  return Array.from({ length: Math.ceil(size / step) }, (_, i) => {
    const [first, length] = [i * step, Math.min(step, size - i * step)]
    return byColumns
      ? { row: 0, rows, column: first, columns: length }
      : { row: first, rows: length, column: 0, columns }
  })
}

/** Rows of a tile of the kernel, and columns of a cache line. */
const ROWS = 6
const COLUMNS = 16

/** The arguments of the kernel for a piece of one product, but for the working memory. */
const argumentsOf = (product: Product, piece: Piece, a: number, b: number, out: number): ReadonlyArray<number> => {
  const { columns, depth, stepA, stepB, transposeA, transposeB } = product
  return [
    a + piece.row * (transposeA ? 1 : stepA) * 4,
    b + piece.column * (transposeB ? stepB : 1) * 4,
    out + (piece.row * columns + piece.column) * 4,
    ...[piece.rows, piece.columns, depth, stepA, stepB, columns],
    ...[transposeA ? 1 : 0, transposeB ? 1 : 0, 0]
  ]
}

const zip = (left: ReadonlyArray<number>, right: ReadonlyArray<number>) =>
  left.map((value, i) => [value, right[i]!] as const)

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
