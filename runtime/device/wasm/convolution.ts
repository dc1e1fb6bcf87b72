import * as tf from "@tensorflow/tfjs"
import { type Epilogue, finish } from "./epilogue.ts"
import type { Heap } from "./host.ts"
import { override } from "./override.ts"

type Info = tf.backend_util.Conv2DInfo

interface Sliding {
  readonly strides: number | [number, number]
  readonly pad: "valid" | "same" | number | tf.backend_util.ExplicitPadding
  readonly dilations?: number | [number, number]
  readonly dimRoundingMode?: "floor" | "round" | "ceil"
  readonly dataFormat?: "NHWC" | "NCHW"
}

type Shape4 = [number, number, number, number]

const describe = (
  x: ReadonlyArray<number>,
  filter: ReadonlyArray<number>,
  sliding: Sliding,
  depthwise: boolean
): Info => {
  const { dataFormat = "NHWC", dilations, dimRoundingMode, pad, strides } = sliding
  if (dataFormat !== "NHWC") throw new Error(`convolutions on the wasm device take NHWC, not ${dataFormat}`)
  const [inShape, filterShape] = [[...x] as Shape4, [...filter] as Shape4]
  return tf.backend_util.computeConv2DInfo(
    inShape,
    filterShape,
    strides,
    dilations ?? 1,
    pad,
    dimRoundingMode,
    depthwise
  )
}

/** The description of a sliding window as the kernels in `assembly/convolution.ts` read it. */
export const window = (info: Info): ReadonlyArray<number> => [
  ...[info.batchSize, info.inHeight, info.inWidth, info.inChannels, info.outHeight, info.outWidth],
  ...[info.filterHeight, info.filterWidth, info.strideHeight, info.strideWidth],
  ...[info.dilationHeight, info.dilationWidth, info.padInfo.top, info.padInfo.left],
  info.outChannels / info.inChannels
]

const floats = (...tensors: ReadonlyArray<tf.TensorInfo>) => {
  for (const { dtype } of tensors)
    if (dtype !== "float32") throw new TypeError(`convolution of ${dtype} is not supported`)
}

/** Floats of patches held at a time. */
const HELD = 2 ** 17

/** One piece of a convolution as a matrix product: `count` output positions from `first` on. */
interface Piece {
  readonly first: number
  readonly count: number
  /** Working memory for the patches, [count, size]. */
  readonly patches: number
  readonly window: number
  /** Product of matrices at addresses: rows, columns, depth, which side is transposed, whether to add to what is there. */
  readonly multiply: (a: number, b: number, out: number, layout: Layout) => void
}

interface Layout {
  readonly rows: number
  readonly columns: number
  readonly depth: number
  readonly transposeA?: boolean
  readonly transposeB?: boolean
  readonly accumulate?: boolean
}

/** Walks over all output positions in pieces, so that working memory stays bounded whatever the image. */
const inPieces = (heap: Heap, info: Info, run: (piece: Piece) => void): void => {
  const size = info.filterHeight * info.filterWidth * info.inChannels
  const positions = info.batchSize * info.outHeight * info.outWidth
  const held = Math.min(positions, Math.max(96, Math.floor(HELD / Math.max(1, size))))
  const scratchFor = (layouts: ReadonlyArray<[number, number, number]>) =>
    Math.max(...layouts.map(([rows, columns, depth]) => heap.exports.matmulScratch!(rows, columns, depth)))
  const { outChannels } = info
  const bytes = scratchFor([
    [held, outChannels, size],
    [size, outChannels, held],
    [held, size, outChannels]
  ])
  heap.withInts(window(info), (window) =>
    heap.withScratch(held * size * 4, (patches) =>
      heap.withScratch(bytes, (scratch) => {
        const multiply: Piece["multiply"] = (a, b, out, { accumulate, columns, depth, rows, transposeA, transposeB }) =>
          heap.exports.matmul!(
            ...[a, b, out, rows, columns, depth],
            ...[transposeA ? rows : depth, transposeB ? depth : columns, columns],
            ...[transposeA ? 1 : 0, transposeB ? 1 : 0, accumulate ? 1 : 0, scratch]
          )
        for (let first = 0; first < positions; first += held)
          run({ first, count: Math.min(held, positions - first), patches, window, multiply })
      })
    )
  )
}

/** A filter of one pixel at every pixel: the patches are the image itself. */
const isPointwise = ({ filterHeight, filterWidth, padInfo, strideHeight, strideWidth }: Info) =>
  [filterHeight, filterWidth, strideHeight, strideWidth].every((size) => size === 1) &&
  [padInfo.top, padInfo.bottom, padInfo.left, padInfo.right].every((size) => size === 0)

const sizeOf = ({ filterHeight, filterWidth, inChannels }: Info) => filterHeight * filterWidth * inChannels

const convolve = (heap: Heap, x: tf.TensorInfo, filter: tf.TensorInfo, info: Info): tf.TensorInfo => {
  floats(x, filter)
  const out = heap.allocate(info.outShape)
  const [image, weights, target] = [x, filter, out].map(heap.address) as [number, number, number]
  const [depth, columns] = [sizeOf(info), info.outChannels]
  inPieces(heap, info, ({ count, first, multiply, patches, window }) => {
    const direct = isPointwise(info)
    if (!direct) heap.exports.patches!(image, patches, window, first, count)
    const rows = direct ? image + first * depth * 4 : patches
    multiply(rows, weights, target + first * columns * 4, { rows: count, columns, depth })
  })
  return out
}

const filterGradient = (heap: Heap, x: tf.TensorInfo, dy: tf.TensorInfo, info: Info): tf.TensorInfo => {
  floats(x, dy)
  const out = zeros(heap, info.filterShape)
  const [image, slopes, target] = [x, dy, out].map(heap.address) as [number, number, number]
  const [rows, columns] = [sizeOf(info), info.outChannels]
  inPieces(heap, info, ({ count, first, multiply, patches, window }) => {
    const direct = isPointwise(info)
    if (!direct) heap.exports.patches!(image, patches, window, first, count)
    const left = direct ? image + first * rows * 4 : patches
    const layout = { rows, columns, depth: count, transposeA: true, accumulate: true }
    multiply(left, slopes + first * columns * 4, target, layout)
  })
  return out
}

const inputGradient = (heap: Heap, dy: tf.TensorInfo, filter: tf.TensorInfo, info: Info): tf.TensorInfo => {
  floats(dy, filter)
  const out = zeros(heap, info.inShape)
  const [slopes, weights, target] = [dy, filter, out].map(heap.address) as [number, number, number]
  const [columns, depth] = [sizeOf(info), info.outChannels]
  inPieces(heap, info, ({ count, first, multiply, patches, window }) => {
    const layout = { rows: count, columns, depth, transposeB: true }
    multiply(slopes + first * depth * 4, weights, patches, layout)
    heap.exports.addPatches!(target, patches, window, first, count)
  })
  return out
}

export const zeros = (heap: Heap, shape: ReadonlyArray<number>): tf.TensorInfo => {
  const out = heap.allocate(shape)
  heap.floats(out).fill(0)
  return out
}

const depthwise = (heap: Heap, x: tf.TensorInfo, filter: tf.TensorInfo, info: Info): tf.TensorInfo => {
  floats(x, filter)
  const out = zeros(heap, info.outShape)
  slide(heap, "depthwise", [x, filter, out], info)
  return out
}

const slide = (heap: Heap, name: string, tensors: ReadonlyArray<tf.TensorInfo>, info: Info) =>
  heap.withInts(window(info), (window) => heap.exports[name]!(...tensors.map(heap.address), window))

interface OfFilter extends Sliding {
  readonly filterShape: ReadonlyArray<number>
}

interface OfInput extends Sliding {
  readonly inputShape: ReadonlyArray<number>
}

/**
 * All of them, forward too: the published forward kernels keep packed filters by tensor, and a parameter may be written in
 * place; of the gradients all but that of the input are missing.
 */
export const convolutionKernels = [
  override<Sliding>(tf.Conv2D, (heap, { filter, x }, sliding) =>
    convolve(heap, x!, filter!, describe(x!.shape, filter!.shape, sliding, false))
  ),
  override<Sliding & Epilogue>(tf.FusedConv2D, (heap, inputs, attributes, others) => {
    const { filter, x } = inputs
    const product = convolve(heap, x!, filter!, describe(x!.shape, filter!.shape, attributes, false))
    return finish(heap, product, inputs, attributes, others)
  }),
  override<OfFilter>(tf.Conv2DBackpropFilter, (heap, { dy, x }, attributes) =>
    filterGradient(heap, x!, dy!, describe(x!.shape, attributes.filterShape, attributes, false))
  ),
  override<OfInput>(tf.Conv2DBackpropInput, (heap, { dy, filter }, attributes) =>
    inputGradient(heap, dy!, filter!, describe(attributes.inputShape, filter!.shape, attributes, false))
  ),
  override<Sliding>(tf.DepthwiseConv2dNative, (heap, { filter, x }, sliding) =>
    depthwise(heap, x!, filter!, describe(x!.shape, filter!.shape, sliding, true))
  ),
  override<Sliding & Epilogue>(tf.FusedDepthwiseConv2D, (heap, inputs, attributes, others) => {
    const { filter, x } = inputs
    const product = depthwise(heap, x!, filter!, describe(x!.shape, filter!.shape, attributes, true))
    return finish(heap, product, inputs, attributes, others)
  }),
  override<OfFilter>(tf.DepthwiseConv2dNativeBackpropFilter, (heap, { dy, x }, attributes) => {
    floats(x!, dy!)
    const out = zeros(heap, attributes.filterShape)
    slide(heap, "depthwiseFilter", [x!, out, dy!], describe(x!.shape, attributes.filterShape, attributes, true))
    return out
  }),
  override<OfInput>(tf.DepthwiseConv2dNativeBackpropInput, (heap, { dy, filter }, attributes) => {
    floats(dy!, filter!)
    const out = zeros(heap, attributes.inputShape)
    slide(heap, "depthwiseInput", [out, filter!, dy!], describe(attributes.inputShape, filter!.shape, attributes, true))
    return out
  })
]
