import * as tf from "@tensorflow/tfjs"
import { type Override, override } from "./override.ts"

/** Slow: the published kernels go element by element. Equal shapes, or one element on a side; the rest is left to them. */
const elementwise = (name: string, exported: "add" | "subtract" | "multiply"): Override =>
  override(name, (heap, { a, b }, _, { published }) => {
    const [left, right] = [a!, b!]
    if (left.dtype !== "float32" || right.dtype !== "float32") return published()
    const [sizeA, sizeB] = [left, right].map(({ shape }) => tf.util.sizeFromShape(shape)) as [number, number]
    const larger = left.shape.length > right.shape.length || (left.shape.length === right.shape.length && sizeB === 1)
    const shape = larger ? left.shape : right.shape
    const whole = tf.util.sizeFromShape(shape)
    const fits = (own: tf.TensorInfo, size: number) => size === 1 || tf.util.arraysEqual([...own.shape], [...shape])
    if (whole === 0 || !fits(left, sizeA) || !fits(right, sizeB)) return published()
    const out = heap.allocate(shape)
    const steps = [sizeA, sizeB].map((size) => (size === 1 ? 0 : 4))
    heap.exports[exported]!(heap.address(left), heap.address(right), heap.address(out), whole, ...steps)
    return out
  })

/** Inexact: the published kernel computes log(1 + x), and small x lose their digits. */
const log1p = override(tf.Log1p, (heap, { x }, _, { published }) => {
  if (x!.dtype !== "float32") return published()
  const out = heap.allocate(x!.shape)
  const [xs, ys] = [heap.floats(x!), heap.floats(out)]
  for (let i = 0; i < ys.length; i++) ys[i] = Math.log1p(xs[i]!)
  return out
})

/** Wrong over axes without elements: the published kernel writes nothing, and the result is what lay in the memory. */
const sum = override(tf.Sum, (heap, { x }, attributes: object, { published }) => {
  const out = published({ x: x! }, attributes)
  if (tf.util.sizeFromShape(x!.shape) === 0) (out.dtype === "float32" ? heap.floats(out) : heap.ints(out)).fill(0)
  return out
})

export const elementwiseKernels = [
  log1p,
  sum,
  elementwise(tf.Add, "add"),
  elementwise(tf.Sub, "subtract"),
  elementwise(tf.Multiply, "multiply")
]
