import * as tf from "@tensorflow/tfjs"
import { override } from "./override.ts"

export const indexingKernels = [
  /** Missing: the gradient of `gather`. Ids outside the segments are dropped, as on the reference backend. */
  override<{ numSegments: number }>(tf.UnsortedSegmentSum, (heap, { segmentIds, x }, { numSegments }) => {
    const floats = x!.dtype === "float32"
    if (!floats && x!.dtype !== "int32") throw new TypeError(`a segment sum of ${x!.dtype} is not supported`)
    const out = heap.allocate([numSegments, ...x!.shape.slice(1)], floats ? "float32" : "int32")
    heap.exports[floats ? "segmentSum" : "segmentSumInts"]!(
      ...[x!, segmentIds!, out].map(heap.address),
      tf.util.sizeFromShape(segmentIds!.shape),
      tf.util.sizeFromShape(x!.shape.slice(1)),
      numSegments
    )
    return out
  }),

  /** Wrong: the published kernel mixes up batches, and reads out of bounds in their gradient. */
  override<{ axis: number; batchDims: number }>(tf.GatherV2, (heap, { indices, x }, attributes, { published }) => {
    if (x!.dtype !== "float32" && x!.dtype !== "int32") return published()
    const axis = tf.util.parseAxisParam(attributes.axis, x!.shape)[0]!
    const { batchSize, dimSize, outerSize, outputShape, sliceSize } =
      tf.backend_util.segment_util.collectGatherOpShapeInfo(
        x as tf.Tensor,
        indices as tf.Tensor,
        axis,
        attributes.batchDims
      )
    const out = heap.allocate(outputShape, x!.dtype)
    const perBatch = tf.util.sizeFromShape(indices!.shape) / batchSize
    const wrong = heap.exports.gather!(
      ...[x!, indices!, out].map(heap.address),
      ...[batchSize, outerSize, dimSize, perBatch, sliceSize]
    )
    if (wrong < 0) return out
    heap.release(out)
    throw new RangeError(`index ${heap.ints(indices!)[wrong]} is outside an axis of ${dimSize}`)
  })
]
