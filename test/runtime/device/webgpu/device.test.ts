/** Opening, limits, faults, loss, memory and the end of the process. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { afterAll, beforeAll } from "vitest"
import { DeviceLost } from "../../../../runtime/device/Device.ts"
import type { Opened } from "../../../../runtime/device/Opened.ts"
import { Backend, type Program } from "../../../../runtime/device/webgpu/Backend.ts"
import { BufferPool } from "../../../../runtime/device/webgpu/BufferPool.ts"
import { BufferTooLarge, DeviceFault, SynchronousRead } from "../../../../runtime/device/webgpu/errors.ts"
import { open } from "../../../../runtime/device/webgpu/open.ts"
import { call } from "../../../../runtime/tensor/operations.ts"
import { missing, skip } from "./support.ts"

const backend = () => tf.engine().backend as Backend

const failure = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error
  )

const child = (environment: Readonly<Record<string, string>> = {}) =>
  promisify(execFile)(process.execPath, [fileURLToPath(new URL("./children/computes.ts", import.meta.url))], {
    timeout: 30_000,
    env: { ...process.env, ...environment }
  })

if (missing !== undefined) skip("the webgpu device")
else
  describe("webgpu", () => {
    let opened: Opened
    beforeAll(async () => {
      opened = await open()
    })
    afterAll(() => opened.close!())

    it("is the current backend and says what decides bits", () => {
      assert.strictEqual(tf.getBackend(), "webgpu")
      assert.instanceOf(tf.engine().backend, Backend)
      assert.strictEqual(opened.numerics.backend, "webgpu")
      assert.match(opened.numerics.kernels, /^tfjs-webgpu-4\.22\.0 dawn-\d+\.\d+\.\d+ ./)
      assert.isTrue(opened.numerics.kernels.endsWith(opened.details["adapter"]!))
    })

    it("is not opened twice", async () => {
      assert.match(String(await rejection(open())), /already open/)
      assert.strictEqual(tf.getBackend(), "webgpu")
    })

    it("computes on the GPU: nothing can be read synchronously", async () => {
      const y = tf.mul(tf.tensor1d([1, 2, 3]), 2)
      assert.instanceOf(
        failure(() => y.dataSync()),
        SynchronousRead
      )
      assert.deepStrictEqual([...(await y.data())], [2, 4, 6])
      y.dispose()
    })

    it("takes the values of host arrays at once", async () => {
      const values = Float32Array.of(1, 2, 3)
      const x = tf.tensor1d(values)
      values.fill(9)
      const read = await x.data()
      assert.deepStrictEqual([...read], [1, 2, 3])
      read.fill(7)
      assert.deepStrictEqual([...(await x.data())], [1, 2, 3])
      x.dispose()
    })

    it("reads what a tensor held when it was asked, though it is overwritten meanwhile", async () => {
      const [parameter, first, second] = [tf.tensor1d([1, 2]), tf.zeros([2]), tf.zeros([2])]
      const gradient = tf.tensor1d([1, -1])
      const before = parameter.data()
      const rule = { scale: 1, beta1: 0, beta2: 0, epsilon: 0, size: 0.5, correction: 1, keep: 1 }
      call("AdamW", { parameter, first, second, gradient }, rule)
      const after = parameter.data()
      assert.deepStrictEqual([...(await before)], [1, 2])
      assert.deepStrictEqual([...(await after)], [0.5, 2.5])
      tf.dispose([parameter, first, second, gradient])
    })

    it("reads many tensors with one submission", async () => {
      const xs = Array.from({ length: 8 }, (_, i) => tf.fill([3], i))
      await Promise.all(xs.map((x) => x.data()))
      let submissions = 0
      const { submitQueue } = Backend.prototype
      Backend.prototype.submitQueue = function (this: Backend) {
        submissions++
        submitQueue.call(this)
      }
      const values = await Promise.all(xs.map((x) => x.data()))
      Backend.prototype.submitQueue = submitQueue
      assert.deepStrictEqual(
        values.map((value) => value[0]),
        [0, 1, 2, 3, 4, 5, 6, 7]
      )
      assert.strictEqual(submissions, 1)
      tf.dispose(xs)
    })

    it("refuses a tensor that no buffer holds, and goes on", async () => {
      const { maxBufferSize, maxStorageBufferBindingSize } = backend().device.limits
      const limit = Math.min(maxBufferSize, maxStorageBufferBindingSize)
      const before = tf.memory().numTensors
      const shape = [limit / 4 / 1024 + 1, 1024]
      const error = failure(() => tf.tidy(() => tf.fill(shape, 1)))
      assert.instanceOf(error, BufferTooLarge)
      assert.deepStrictEqual(
        { ...(error as BufferTooLarge) },
        { ...new BufferTooLarge({ shape, bytes: limit + 4096, limit }) }
      )
      assert.include(String(error), `[${shape.join(", ")}] takes ${limit + 4096} bytes`)
      assert.strictEqual(tf.memory().numTensors, before)
      const one = tf.fill([2], 1)
      assert.deepStrictEqual([...(await one.data())], [1, 1])
      one.dispose()
    })

    it("throws what the GPU refuses where it happens", async () => {
      const x = tf.fill([4], 1)
      const broken: Program = {
        name: "Broken",
        buffers: { x: "write f32" },
        uniforms: { n: "u32" },
        code: "fn main( {"
      }
      const error = failure(() => backend().dispatch(broken, { x }, { n: 1 }, [1]))
      assert.instanceOf(error, DeviceFault)
      assert.strictEqual((error as DeviceFault).kind, "validation")
      assert.deepStrictEqual([...(await x.data())], [1, 1, 1, 1])
      x.dispose()
    })

    it("out of memory: free buffers make room, and only then it fails", async () => {
      const { device, pool } = backend()
      const { createBuffer } = device
      const shortFor = (attempts: number) => {
        let failed = 0
        device.createBuffer = (descriptor) => {
          const error = new GPUOutOfMemoryError("no memory left")
          if (failed++ < attempts) device.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error }))
          return createBuffer.call(device, descriptor)
        }
      }
      tf.fill([12_345], 1).dispose()
      await tf.fill([1], 1).data()
      assert.isAbove(pool.getNumFreeBuffers(), 0)
      shortFor(1)
      const x = tf.fill([54_321], 1)
      assert.strictEqual(pool.getNumFreeBuffers(), 0)
      shortFor(2)
      const error = failure(() => tf.fill([32_154], 1))
      device.createBuffer = createBuffer
      assert.strictEqual((error as DeviceFault).kind, "out-of-memory")
      assert.include(String(error), "out of memory")
      assert.strictEqual((await x.data())[54_320], 1)
      x.dispose()
    })

    it("fails reads whose submission the GPU refused, with all its work, and goes on", async () => {
      const x = tf.fill([4], 1)
      await x.data()
      backend().ensureCommandEncoderReady()
      const { commandEncoder } = backend() as unknown as { readonly commandEncoder: GPUCommandEncoder }
      const buffer = backend().pool.acquireBuffer(16, GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST)
      const before = x.data()
      commandEncoder.copyBufferToBuffer(buffer, 0, buffer, 0, 1024)
      const after = x.data()
      for (const error of [await rejection(before), await rejection(after)]) assert.instanceOf(error, DeviceFault)
      assert.deepStrictEqual([...(await x.data())], [1, 1, 1, 1])
      // The same, but submitted by somebody else before the read gets to it.
      backend().ensureCommandEncoderReady()
      const again = x.data()
      const { commandEncoder: next } = backend() as unknown as { readonly commandEncoder: GPUCommandEncoder }
      next.copyBufferToBuffer(buffer, 0, buffer, 0, 1024)
      assert.instanceOf(
        failure(() => backend().submitQueue()),
        DeviceFault
      )
      assert.instanceOf(await rejection(again), DeviceFault)
      backend().pool.releaseBuffer(buffer)
      x.dispose()
    })

    it("holds the same memory however long it works", async () => {
      const x = tf.fill([32, 32], 0.5)
      const round = async () => {
        const y = tf.tidy(() => tf.sum(tf.matMul(x, tf.add(x, 1))))
        await y.data()
        y.dispose()
      }
      const sizes = () => {
        const { numBytesInGPU, numTensors } = tf.memory() as tf.MemoryInfo & { readonly numBytesInGPU: number }
        return { numBytesInGPU, numTensors, allocated: backend().pool.numBytesAllocated }
      }
      await round()
      await round()
      const before = sizes()
      for (let i = 0; i < 20; i++) await round()
      assert.deepStrictEqual(sizes(), before)
      x.dispose()
    })

    it("a lost device fails every run and read, and can be opened anew", async () => {
      const x = tf.fill([4], 1)
      await x.data()
      const pending = x.data()
      const gone = opened
      backend().device.destroy()
      const error = await rejection(pending)
      assert.instanceOf(error, DeviceLost)
      assert.isTrue((error as DeviceLost).retryable)
      assert.include(await gone.lost!, "destroyed")
      assert.instanceOf(await rejection(x.data()), DeviceLost)
      assert.instanceOf(
        failure(() => tf.add(x, 1)),
        DeviceLost
      )
      assert.instanceOf(
        failure(() => tf.tensor1d([1])),
        DeviceLost
      )
      opened = await open()
      assert.deepStrictEqual(opened.numerics, gone.numerics)
      await gone.close!()
      const y = tf.add(tf.fill([2], 1), 1)
      assert.deepStrictEqual([...(await y.data())], [2, 2])
      // What was on the lost device is gone for good.
      assert.instanceOf(
        failure(() => tf.neg(x)),
        DeviceLost
      )
      tf.dispose([x, y])
    })

    it("a process that closes the device ends by itself with status 0", async () => {
      const { stdout } = await child()
      assert.strictEqual(stdout.trim(), "7 10 15 22")
    })

    it.runIf(process.platform === "linux")("says what is missing where there is no adapter", async () => {
      const nowhere = "/nowhere/icd.json"
      const error = await rejection(child({ VK_DRIVER_FILES: nowhere, VK_ICD_FILENAMES: nowhere }))
      assert.match(String(error), /WebGPU finds no adapter.*Vulkan driver.*VK_DRIVER_FILES/)
    })
  })

describe("BufferPool", () => {
  const MB = 1024 * 1024
  const made: Array<number> = []
  const destroyed: Array<number> = []
  const pool = new BufferPool(({ size, usage }) => {
    made.push(size)
    return { size, usage, destroy: () => destroyed.push(size) } as unknown as GPUBuffer
  })

  it("reuses freed buffers and destroys the longest idle beyond its bound", () => {
    pool.releaseBuffer(pool.acquireBuffer(100 * MB, 1))
    pool.releaseBuffer(pool.acquireBuffer(100 * MB, 1))
    assert.deepStrictEqual(made, [100 * MB])
    for (const size of [101, 102, 103]) pool.releaseBuffer(pool.acquireBuffer(size * MB, 1))
    assert.deepStrictEqual(destroyed, [100 * MB, 101 * MB])
    assert.strictEqual(pool.numBytesAllocated, 205 * MB)
    assert.strictEqual(pool.numBytesUsed, 0)
    pool.trim(0)
    assert.strictEqual(pool.numBytesAllocated, 0)
    assert.strictEqual(pool.getNumFreeBuffers(), 0)
  })
})
