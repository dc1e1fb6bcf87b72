import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"

/**
 * A tensor's values on the host, row-major: a copy. Devices that compute beside the program are awaited, the others read at
 * once.
 */
export const read = (tensor: tf.Tensor): Effect.Effect<Float32Array> =>
  Effect.suspend(() => {
    const backend = tf.getBackend()
    if (backend === "webgpu") return Effect.promise(() => tensor.data<"float32">())
    const values = tensor.dataSync<"float32">()
    return Effect.succeed(backend === "wasm" ? values : values.slice()) // the others may hand out their own array
  })

/** Reads tensors one after the other, or all at once where the device computes beside the program. */
export const readAll = (tensors: ReadonlyArray<tf.Tensor>): Effect.Effect<ReadonlyArray<Float32Array>> =>
  Effect.forEach(tensors, read, { concurrency: "unbounded" })

/** Reads what a computation makes and disposes all its tensors. */
export const computed = (run: () => tf.Tensor): Effect.Effect<Float32Array> =>
  Effect.acquireUseRelease(
    Effect.sync(() => tf.tidy(run)),
    read,
    (tensor) => Effect.sync(() => tensor.dispose())
  )
