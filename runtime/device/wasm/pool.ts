import * as tf from "@tensorflow/tfjs"
import { window, zeros } from "./convolution.ts"
import { override } from "./override.ts"

interface Pooling {
  readonly filterSize: number | [number, number]
  readonly strides: number | [number, number]
  readonly pad: "valid" | "same" | number
  readonly dimRoundingMode?: "floor" | "round" | "ceil"
}

const describe = (x: tf.TensorInfo, { dimRoundingMode, filterSize, pad, strides }: Pooling) => {
  if (x.dtype !== "float32") throw new TypeError(`a pooling gradient of ${x.dtype} is not supported`)
  const shape = x.shape as [number, number, number, number]
  return tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode)
}

export const poolKernels = [
  /** Wrong: the published kernel loses windows whose elements are all negative. */
  override<Pooling>(tf.MaxPoolGrad, (heap, { dy, input }, pooling) => {
    const info = describe(input!, pooling)
    const out = zeros(heap, input!.shape)
    heap.withInts(window(info), (window) =>
      heap.exports.maxPoolGradient!(...[input!, dy!, out].map(heap.address), window)
    )
    return out
  }),

  /** Wrong: the published kernel divides by the whole window at an edge, where the pooling itself divides by what is inside. */
  override<Pooling>(tf.AvgPoolGrad, (heap, { dy, input }, pooling) => {
    const info = describe(input!, pooling)
    const out = zeros(heap, input!.shape)
    heap.withInts(window(info), (window) => heap.exports.averagePoolGradient!(...[dy!, out].map(heap.address), window))
    return out
  })
]
