/** Kernels of the published WebGPU backend that are wrong or whose bits change from run to run, put right. */
import * as tf from "@tensorflow/tfjs"
import type { Backend, Program } from "../Backend.ts"
import { allocate, each, elements, type Inputs, replace } from "./define.ts"

const published = (name: string): tf.KernelConfig => {
  const found = tf.getKernel(name, "webgpu")
  if (!found) throw new Error(`the published webgpu backend has no kernel ${name}`)
  return found
}

const TILE = published(tf.Tile)

/**
 * Matrix product. The published kernel broadcasts a batch only if one side's is a single matrix, and otherwise throws or,
 * worse, pairs the wrong matrices: so repeat them here. For one product with a long inner dimension and a small result it
 * adds parts with atomics, in an order that changes from run to run: there, take its other method.
 */
for (const name of [tf.BatchMatMul, tf._FusedMatMul]) {
  const original = published(name)
  replace({
    ...original,
    kernelFunc: (given) => {
      const backend = given.backend as Backend
      const { a, b } = given.inputs as Inputs as { readonly a: tf.TensorInfo; readonly b: tf.TensorInfo }
      const batchA = a.shape.slice(0, -2)
      const batchB = b.shape.slice(0, -2)
      const batch = tf.broadcast_util.assertAndGetBroadcastShape(batchA, batchB)
      const temporary: Array<tf.TensorInfo> = []
      const repeated = (x: tf.TensorInfo) => {
        const own = x.shape.slice(0, -2)
        if (tf.util.sizeFromShape(own) === tf.util.sizeFromShape(batch)) return x
        const shape = [...Array.from({ length: batch.length - own.length }, () => 1), ...x.shape]
        const reps = [...batch.map((size, axis) => size / shape[axis]!), 1, 1]
        const tiled = TILE.kernelFunc({
          backend,
          inputs: { x: { ...x, shape } },
          attrs: { reps }
        }) as tf.TensorInfo
        temporary.push(tiled)
        return tiled
      }
      const single = [batchA, batchB].some((own) => tf.util.sizeFromShape(own) === 1)
      const { transposeA, transposeB } = given.attrs as unknown as Transposes
      const [inner, rows] = [a.shape.at(transposeA ? -2 : -1)!, a.shape.at(transposeA ? -1 : -2)!]
      const columns = b.shape.at(transposeB ? -2 : -1)!
      if (inner === 0 && name === tf.BatchMatMul) return zeros(backend, [...batch, rows, columns])
      const inputs = single ? given.inputs : { ...given.inputs, a: repeated(a), b: repeated(b) }
      const flag = "WEBGPU_MATMUL_PROGRAM_TYPE"
      const before = tf.env().getNumber(flag)
      const tiles = Math.ceil(rows / 32) * Math.ceil(columns / 32)
      const few = rows * columns > 128 && tiles <= 2 * backend.thresholdToIncreaseWorkgroups
      if (before < 0 && few && inner >= 2000 && tf.util.sizeFromShape(batch) === 1) tf.env().set(flag, SMALL_OUTPUT)
      try {
        return original.kernelFunc({ ...given, inputs })
      } finally {
        tf.env().set(flag, before)
        for (const { dataId } of temporary) backend.disposeData(dataId)
      }
    }
  })
}

interface Transposes {
  readonly transposeA: boolean
  readonly transposeB: boolean
}

/** The library's number for its method with small tiles. */
const SMALL_OUTPUT = 2

const zeros = (backend: Backend, shape: Array<number>, dtype: "float32" | "int32" = "float32"): tf.TensorInfo =>
  backend.makeTensorInfo(shape, dtype, tf.util.makeZerosTypedArray(tf.util.sizeFromShape(shape), dtype))

/** The sum of nothing: the published kernel asks for a buffer of no size. */
const sum = published(tf.Sum)

replace({
  ...sum,
  kernelFunc: (given) => {
    const { x } = given.inputs as Inputs as { readonly x: tf.TensorInfo }
    if (tf.util.sizeFromShape(x.shape) > 0) return sum.kernelFunc(given)
    const { axis, keepDims } = given.attrs as unknown as {
      readonly axis: number | Array<number>
      readonly keepDims: boolean
    }
    const axes = tf.util.parseAxisParam(axis, x.shape)
    const [kept] = tf.backend_util.computeOutAndReduceShapes(x.shape, axes)
    const shape = keepDims ? tf.backend_util.expandShapeToKeepDim(kept, axes) : kept
    return zeros(given.backend as Backend, shape, x.dtype === "float32" ? "float32" : "int32")
  }
})

/** The gradient of `gather`. The published kernel adds with atomics; here a thread adds up one element, in order. */
const SEGMENTS: Program = {
  name: "UnsortedSegmentSum",
  buffers: { x: "read f32", ids: "read i32", y: "write f32" },
  uniforms: { count: "u32", rows: "u32", width: "u32" },
  code: each(`
  let segment = i32(element / u.width);
  let column = element % u.width;
  var sum = 0.0;
  for (var row = 0u; row < u.rows; row++) {
    if (ids[row] == segment) { sum += x[row * u.width + column]; }
  }
  y[element] = sum;`)
}

const segmentSum = published(tf.UnsortedSegmentSum)

replace({
  ...segmentSum,
  kernelFunc: (given) => {
    const backend = given.backend as Backend
    const { segmentIds, x } = given.inputs as Inputs as {
      readonly segmentIds: tf.TensorInfo
      readonly x: tf.TensorInfo
    }
    if (x.dtype !== "float32") return segmentSum.kernelFunc(given) // integers add up alike in any order
    const { numSegments } = given.attrs as unknown as { readonly numSegments: number }
    const shape = [numSegments, ...x.shape.slice(segmentIds.shape.length)]
    const rows = tf.util.sizeFromShape(segmentIds.shape)
    const count = tf.util.sizeFromShape(shape)
    if (rows * count === 0) return zeros(backend, shape)
    const y = allocate(backend, shape)
    const width = count / numSegments
    backend.dispatch(SEGMENTS, { x, ids: segmentIds, y }, { count, rows, width }, elements(count))
    return y
  }
})
