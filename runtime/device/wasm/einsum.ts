import * as tf from "@tensorflow/tfjs"
import type { Heap } from "./host.ts"
import { multiply } from "./matmul.ts"
import { override } from "./override.ts"

/** A tensor with a name for each of its axes: the index in the equation's list of letters. */
interface Named {
  readonly tensor: tf.TensorInfo
  readonly axes: ReadonlyArray<number>
}

/** Missing. One or two float32 tensors, as one batched matrix product; letters of one side only are summed first. */
export const einsumKernels = [
  override<{ equation: string }>(tf.Einsum, (heap, inputs, { equation }, { call }) => {
    const tensors = Object.values(inputs)
    const { allDims, idDims, summedDims } = tf.backend_util.decodeEinsumEquation(equation, tensors.length)
    tf.backend_util.checkEinsumDimSizes(allDims.length, idDims, tensors as Array<tf.Tensor>)
    const kept = allDims.length - summedDims.length
    const result = Array.from({ length: kept }, (_, axis) => axis)

    /** Each step makes a new tensor and releases the one before. */
    const step = (from: Named, name: string, attributes: object, axes: ReadonlyArray<number>): Named => {
      const tensor = call(name, { x: from.tensor }, attributes)
      heap.release(from.tensor)
      return { tensor, axes }
    }
    const sumOut = (from: Named, others: ReadonlyArray<number>): Named => {
      const gone = from.axes.flatMap((axis, i) => (axis >= kept && !others.includes(axis) ? [i] : []))
      if (gone.length === 0) return from
      const axes = from.axes.filter((_, i) => !gone.includes(i))
      return step(from, tf.Sum, { axis: gone, keepDims: false }, axes)
    }
    const order = (from: Named, axes: ReadonlyArray<number>): Named =>
      step(from, tf.Transpose, { perm: axes.map((axis) => from.axes.indexOf(axis)) }, axes)

    const named = tensors.map((tensor, i) => ({ tensor: heap.share(tensor, tensor.shape), axes: idDims[i]! }))
    const [left, right] = named.map((from, i) => sumOut(from, named[1 - i]?.axes ?? []))
    if (!right) return order(left!, result).tensor
    return order(product(heap, left!, right, kept, order), result).tensor
  })
]

/** Batch axes are in both and in the result, inner axes in both only; every other axis is one side's own. */
const product = (
  heap: Heap,
  left: Named,
  right: Named,
  kept: number,
  order: (from: Named, axes: ReadonlyArray<number>) => Named
): Named => {
  const shared = left.axes.filter((axis) => right.axes.includes(axis))
  const batch = shared.filter((axis) => axis < kept)
  const inner = shared.filter((axis) => axis >= kept)
  const [rows, columns] = [left, right].map(({ axes }) => axes.filter((axis) => !shared.includes(axis)))
  const sizes = new Map(
    [left, right].flatMap(({ axes, tensor }) => axes.map((axis, i) => [axis, tensor.shape[i]!] as const))
  )
  const total = (axes: ReadonlyArray<number>) => axes.reduce((product, axis) => product * sizes.get(axis)!, 1)
  const matrices = (from: Named, own: ReadonlyArray<number>) => {
    const { tensor } = order(from, [...batch, ...own, ...inner])
    return { ...tensor, shape: [total(batch), total(own), total(inner)] }
  }
  const [a, b] = [matrices(left, rows!), matrices(right, columns!)]
  const out = multiply(heap, a, b, { transposeA: false, transposeB: true })
  for (const temporary of [a, b]) heap.release(temporary)
  const axes = [...batch, ...rows!, ...columns!]
  return { tensor: { ...out, shape: axes.map((axis) => sizes.get(axis)!) }, axes }
}
