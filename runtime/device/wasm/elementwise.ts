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

export const elementwiseKernels = [
  elementwise(tf.Add, "add"),
  elementwise(tf.Sub, "subtract"),
  elementwise(tf.Multiply, "multiply")
]
