import * as tf from "@tensorflow/tfjs"
import type { Heap } from "./host.ts"
import { override } from "./override.ts"

/** An axis of a permuted tensor: its size and the steps, in elements, from one index to the next. */
interface Axis {
  readonly size: number
  readonly from: number
  readonly to: number
}

/** Up to 6 axes that are really moved, float32 or int32; undefined for anything else. */
const permuted = (heap: Heap, x: tf.TensorInfo, perm: ReadonlyArray<number>): tf.TensorInfo | undefined => {
  if (x.dtype !== "float32" && x.dtype !== "int32") return undefined
  const shape = perm.map((axis) => x.shape[axis]!)
  if (shape.includes(0)) return heap.allocate(shape, x.dtype)
  const axes = movedAxes(x.shape, perm)
  if (axes.length <= 1) return heap.share(x, shape)
  if (axes.length > 6) return undefined
  const last = axes.at(-1)!
  const dense = axes.find(({ from }) => from === 1)!
  const inner = last === dense ? [axes.at(-2)!, last] : [dense, last]
  const outer = axes.filter((axis) => !inner.includes(axis))
  const all = [...Array.from({ length: 6 - axes.length }, () => unit), ...outer, ...inner]
  const out = heap.allocate(shape, x.dtype)
  heap.exports.permute!(
    heap.address(x),
    heap.address(out),
    ...all.map(({ size }) => size),
    ...all.map(({ from }) => from),
    ...all.slice(0, 5).map(({ to }) => to)
  )
  return out
}

const unit: Axis = { size: 1, from: 0, to: 0 }

/** Drops axes of size 1 and joins axes that stay together, from outside to inside of the result. */
const movedAxes = (shape: ReadonlyArray<number>, perm: ReadonlyArray<number>): ReadonlyArray<Axis> => {
  const steps = (sizes: ReadonlyArray<number>) =>
    sizes.map((_, axis) => sizes.slice(axis + 1).reduce((product, size) => product * size, 1))
  const from = steps(shape)
  const to = steps(perm.map((axis) => shape[axis]!))
  const axes: Array<Axis> = []
  for (const [i, axis] of perm.entries()) {
    const next: Axis = { size: shape[axis]!, from: from[axis]!, to: to[i]! }
    if (next.size === 1) continue
    const before = axes.at(-1)
    if (before && before.from === next.from * next.size)
      axes[axes.length - 1] = { ...next, size: before.size * next.size }
    else axes.push(next)
  }
  return axes
}

export const layoutKernels = [
  override<{ perm: ReadonlyArray<number> }>(
    tf.Transpose,
    (heap, { x }, { perm }, { published }) => permuted(heap, x!, perm) ?? published()
  ),

  /** Shares the values instead of copying them, as the backend's own `Reshape` does. */
  override(tf.Identity, (heap, { x }) => {
    if (x!.dtype === "string") throw new Error("string tensors are not supported on the wasm device")
    return heap.share(x!, x!.shape)
  }),

  /** Wrong: the published kernel writes integers into float results. */
  override<{ depth: number; dtype?: tf.DataType; offValue: number; onValue: number }>(
    tf.OneHot,
    (heap, { indices }, { depth, dtype = "int32", offValue, onValue }) => {
      const out = heap.allocate([...indices!.shape, depth], dtype as "float32" | "int32" | "bool")
      const ids = heap.ints(indices!)
      const target = (dtype === "float32" ? heap.floats : dtype === "bool" ? heap.bytes : heap.ints)(out)
      target.fill(offValue)
      for (let i = 0; i < ids.length; i++) if (ids[i]! >= 0 && ids[i]! < depth) target[i * depth + ids[i]!] = onValue
      return out
    }
  ),

  /** Wrong: the published kernel keeps the low byte of a number cast to bool, so that 2 stays 2 and 256 turns false. */
  override<{ dtype: tf.DataType }>(tf.Cast, (heap, { x }, { dtype }, { published }) => {
    if (dtype !== "bool" || (x!.dtype !== "float32" && x!.dtype !== "int32")) return published()
    const out = heap.allocate(x!.shape, "bool")
    const source = (x!.dtype === "float32" ? heap.floats : heap.ints)(x!)
    const target = heap.bytes(out)
    for (let i = 0; i < source.length; i++) target[i] = source[i] === 0 ? 0 : 1
    return out
  })
]
