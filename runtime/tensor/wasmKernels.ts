/**
 * Kernels of the published wasm backend that are slow, missing or wrong, put right. Importing this module replaces them;
 * it must come after the backend's own registration, which the import below does.
 */
import * as tf from "@tensorflow/tfjs"
import "@tensorflow/tfjs-backend-wasm"
import { type Inputs, replace, type Storage, wasmMemory } from "./kernel.ts"

/** Names these kernels for people. Cache keys hold a hash of this module besides, so nothing depends on raising it. */
export const KERNELS = "typescript-1"

type Run<Attributes> = (storage: Storage, inputs: Inputs, attributes: Attributes, original: Original) => tf.TensorInfo
type Original = (inputs: Inputs, attributes: object) => tf.TensorInfo

/** Keeps the published kernel's set-up function and hands its kernel function to the new one. */
const override = <Attributes>(kernelName: string, run: Run<Attributes>): void => {
  const published = tf.getKernel(kernelName, "wasm")
  replace({
    ...published,
    kernelName,
    backendName: "wasm",
    kernelFunc: ({ attrs, backend, inputs }) =>
      run(wasmMemory(backend), inputs as Inputs, attrs as Attributes, (inputs, attributes) => {
        if (!published) throw new Error(`the published wasm backend has no kernel ${kernelName}`)
        return published.kernelFunc({
          backend,
          inputs: inputs as tf.NamedTensorInfoMap,
          attrs: attributes as tf.NamedAttrMap
        }) as tf.TensorInfo
      })
  })
}

/**
 * Matrix product. The published kernel takes its fast path for one matrix times one matrix without transposes only, and is
 * some ten times slower otherwise: so transpose into a temporary tensor first. Batches go to the published kernel.
 * A weight's gradient `a^T b` has both sides long: transpose the narrower one, `(b^T a)^T`.
 */
override<{ transposeA: boolean; transposeB: boolean }>(tf.BatchMatMul, (storage, { a, b }, attributes, original) => {
  const { transposeA, transposeB } = attributes
  if ((!transposeA && !transposeB) || !isMatrix(a!) || !isMatrix(b!)) return original({ a: a!, b: b! }, attributes)
  const multiply = (left: tf.TensorInfo, right: tf.TensorInfo) =>
    original({ a: left, b: right }, { transposeA: false, transposeB: false })
  const once = (x: tf.TensorInfo, run: (turned: tf.TensorInfo) => tf.TensorInfo) => {
    const turned = transposed(storage, x)
    const out = run(turned)
    storage.release(turned)
    return out
  }
  if (!transposeA) return once(b!, (b) => multiply(a!, b))
  if (transposeB) return once(a!, (a) => once(b!, (b) => multiply(a, b)))
  const swapped = b!.shape.at(-1)! < a!.shape.at(-1)! && a!.shape.length === b!.shape.length
  if (!swapped) return once(a!, (a) => multiply(a, b!))
  const turned = once(b!, (b) => multiply(b, a!))
  const out = transposed(storage, turned)
  storage.release(turned)
  return out
})

const isMatrix = ({ dtype, shape }: tf.TensorInfo) =>
  dtype === "float32" && shape.length >= 2 && shape.slice(0, -2).every((size) => size === 1)

/** Swaps the last two axes, eight columns at a time, so that the lines written to stay in the first-level cache. */
const transposed = (storage: Storage, x: tf.TensorInfo): tf.TensorInfo => {
  const [rows, columns] = x.shape.slice(-2) as [number, number]
  const out = storage.allocate([...x.shape.slice(0, -2), columns, rows])
  const source = storage.floats(x)
  const target = storage.floats(out)
  for (let left = 0; left < columns; left += 8) {
    const right = Math.min(columns, left + 8)
    let row = 0
    for (; row + 3 < rows; row += 4)
      for (let column = left; column < right; column++) {
        const from = row * columns + column
        const to = column * rows + row
        target[to] = source[from]!
        target[to + 1] = source[from + columns]!
        target[to + 2] = source[from + 2 * columns]!
        target[to + 3] = source[from + 3 * columns]!
      }
    for (; row < rows; row++)
      for (let column = left; column < right; column++) target[column * rows + row] = source[row * columns + column]!
  }
  return out
}

/** Shares the data instead of copying it, as the backend's own `Reshape` does. No kernel of the tape writes in place. */
override(tf.Identity, (_, { x }) => {
  if (x!.dtype === "string") throw new Error("string tensors are not supported on the wasm device")
  tf.engine().backend.incRef(x!.dataId)
  return { dataId: x!.dataId, shape: x!.shape, dtype: x!.dtype }
})

/** Missing: the gradient of `gather`. Ids outside the segments are dropped, as on the reference backend. */
override<{ numSegments: number }>(tf.UnsortedSegmentSum, (storage, { segmentIds, x }, { numSegments }) => {
  const width = tf.util.sizeFromShape(x!.shape.slice(1))
  const out = storage.allocate([numSegments, ...x!.shape.slice(1)], x!.dtype === "float32" ? "float32" : "int32")
  const read = x!.dtype === "float32" ? storage.floats : storage.ints
  const ids = storage.ints(segmentIds!)
  const source = read(x!)
  const target = read(out).fill(0)
  for (let row = 0; row < ids.length; row++) {
    const segment = ids[row]!
    if (segment < 0 || segment >= numSegments) continue
    for (let d = 0; d < width; d++) target[segment * width + d]! += source[row * width + d]!
  }
  return out
})

/** Wrong: the published kernel writes integers into float results. */
override<{ depth: number; dtype?: tf.DataType; offValue: number; onValue: number }>(
  tf.OneHot,
  (storage, { indices }, { depth, dtype = "int32", offValue, onValue }) => {
    const out = storage.allocate([...indices!.shape, depth], dtype as "float32" | "int32" | "bool")
    const ids = storage.ints(indices!)
    const target = (dtype === "float32" ? storage.floats : dtype === "bool" ? storage.bytes : storage.ints)(out)
    target.fill(offValue)
    for (let i = 0; i < ids.length; i++) if (ids[i]! >= 0 && ids[i]! < depth) target[i * depth + ids[i]!] = onValue
    return out
  }
)

/** Wrong: the published kernel keeps the low byte of a number cast to bool, so that 2 stays 2 and 256 turns false. */
override<{ dtype: tf.DataType }>(tf.Cast, (storage, { x }, attributes, original) => {
  if (attributes.dtype !== "bool" || x!.dtype === "bool") return original({ x: x! }, attributes)
  const out = storage.allocate(x!.shape, "bool")
  const source = (x!.dtype === "float32" ? storage.floats : storage.ints)(x!)
  const target = storage.bytes(out)
  for (let i = 0; i < source.length; i++) target[i] = source[i] === 0 ? 0 : 1
  return out
})

/** Wrong for batched indices, and reads out of bounds in their gradient: those are done here. */
override<{ axis: number; batchDims: number }>(tf.GatherV2, (storage, { indices, x }, attributes, original) => {
  if (attributes.batchDims === 0) return original({ indices: indices!, x: x! }, attributes)
  const axis = tf.util.parseAxisParam(attributes.axis, x!.shape)[0]!
  const shape = tf.backend_util.segment_util.collectGatherOpShapeInfo(
    x as tf.Tensor,
    indices as tf.Tensor,
    axis,
    attributes.batchDims
  )
  if (x!.dtype !== "float32" && x!.dtype !== "int32") throw new Error(`batched gather of ${x!.dtype} is not supported`)
  const out = storage.allocate(shape.outputShape, x!.dtype)
  const read = x!.dtype === "float32" ? storage.floats : storage.ints
  const { batchSize, dimSize, outerSize, sliceSize } = shape
  const ids = storage.ints(indices!)
  const source = read(x!)
  const target = read(out)
  const perBatch = ids.length / batchSize
  let to = 0
  for (let batch = 0; batch < batchSize; batch++)
    for (let outer = 0; outer < outerSize; outer++)
      for (let i = 0; i < perBatch; i++) {
        const id = ids[batch * perBatch + i]!
        if (!(id >= 0 && id < dimSize)) throw new RangeError(`index ${id} is outside an axis of ${dimSize}`)
        const from = ((batch * outerSize + outer) * dimSize + id) * sliceSize
        for (let d = 0; d < sliceSize; d++) target[to++] = source[from + d]!
      }
  return out
})
