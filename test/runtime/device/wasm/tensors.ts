import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import { withoutLeak } from "../../../../runtime/device/Device.ts"
import { heapOf } from "../../../../runtime/device/wasm/host.ts"
import { normals } from "../../tensor/closeness.ts"

/** Standard normal values, the same for the same label. */
export const random = <R extends tf.Rank = tf.Rank>(label: string, shape: ReadonlyArray<number>) =>
  tf.tensor(normals(label, tf.util.sizeFromShape([...shape])), [...shape] as tf.ShapeMap[R])

/** A test's body on the current device, which must leave no tensor behind. */
export const balanced = (run: () => void) => withoutLeak(Effect.sync(() => tf.tidy(run)))

/** Writes new values where the old ones lie, as the optimizer does. */
export const overwrite = (tensor: tf.Tensor, label: string) =>
  heapOf(tf.engine().backend).floats(tensor).set(normals(label, tensor.size))

/** Bytes of the whole memory of the device, free or not. */
export const memoryBytes = () => heapOf(tf.engine().backend).floats(tf.scalar(0)).buffer.byteLength

/** Gradients of a function of images. */
export const gradients = (
  f: (...inputs: ReadonlyArray<tf.Tensor4D>) => tf.Tensor,
  inputs: ReadonlyArray<tf.Tensor4D>,
  dy?: tf.Tensor
): ReadonlyArray<tf.Tensor> => tf.grads(f as (...inputs: ReadonlyArray<tf.Tensor>) => tf.Tensor)([...inputs], dy)
