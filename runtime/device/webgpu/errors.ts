import { Schema } from "effect"

/** A tensor does not fit into one buffer of the device. Nothing was computed. */
export class BufferTooLarge extends Schema.TaggedError<BufferTooLarge>()("BufferTooLarge", {
  shape: Schema.Array(Schema.Int),
  bytes: Schema.Int,
  limit: Schema.Int
}) {
  override get message() {
    return (
      `a tensor [${this.shape.join(", ")}] takes ${this.bytes} bytes, and one buffer of this GPU holds ${this.limit}: ` +
      "use smaller micro-batches or shorter sequences"
    )
  }
}

/** The GPU refused a command or ran out of memory; the operation that caused it has no result. */
export class DeviceFault extends Schema.TaggedError<DeviceFault>()("DeviceFault", {
  kind: Schema.Literals(["out-of-memory", "validation", "internal"]),
  reason: Schema.String
}) {
  override get message() {
    return this.kind === "out-of-memory"
      ? `the GPU is out of memory, use smaller micro-batches: ${this.reason}`
      : `the GPU refused a command (${this.kind} error): ${this.reason}`
  }
}

/** WebGPU hands values back asynchronously only: `await tensor.data()`, never `tensor.dataSync()`. */
export class SynchronousRead extends Schema.TaggedError<SynchronousRead>()("SynchronousRead", {}) {
  override get message() {
    return "the webgpu device cannot read tensors synchronously: await tensor.data() instead of tensor.dataSync()"
  }
}
