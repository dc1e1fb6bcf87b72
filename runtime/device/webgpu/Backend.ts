import { setTimeout } from "node:timers/promises"
import * as tf from "@tensorflow/tfjs"
import { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu"
import { DeviceLost } from "../Device.ts"
import { BufferPool } from "./BufferPool.ts"
import { BufferTooLarge, DeviceFault, SynchronousRead } from "./errors.ts"

/** A compute shader: storage buffers in the order of their names, then one uniform block of scalars. */
export interface Program {
  readonly name: string
  /** WGSL with an entry point `main`, without the declarations of buffers and uniforms, which `dispatch` puts in front. */
  readonly code: string
  /** Storage buffers by name. */
  readonly buffers: Readonly<Record<string, "read f32" | "read i32" | "write f32">>
  readonly uniforms: Readonly<Record<string, "u32" | "f32">>
}

/**
 * The tensor library's WebGPU backend, made safe for long runs in a process without a browser.
 * **Details** Whatever the GPU refuses is thrown where it happens, as `BufferTooLarge`, `DeviceFault` or `DeviceLost`.
 * Values go to the GPU as soon as a tensor is made, so that arrays of the caller may change afterwards; values read back
 * are copies, and reads asked for together travel together. Freed buffers are kept up to a bound. Programs of ours may have
 * several outputs and may write in place.
 */
export class Backend extends WebGPUBackend {
  /** Settles with the reason when the device is lost, be it by `close`. */
  readonly lost: Promise<string>
  readonly #pipelines = new Map<string, GPUComputePipeline>()
  readonly #constants = new Map<string, tf.TensorInfo>()
  #loss: DeviceLost | undefined
  #fault: DeviceFault | undefined
  #flushing: Promise<void> | undefined
  /** Submissions that the GPU refused: the work in them is lost, copies for reads included. */
  #refused: Array<unknown> = []

  constructor(device: GPUDevice, info: GPUAdapterInfo) {
    super(device, info)
    this.lost = device.lost.then(({ message, reason }) => {
      this.#loss = new DeviceLost({ reason: message || reason })
      return this.#loss.reason
    })
    // Dawn reports an error during the call that causes it, so that `#checked` can throw it there.
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault()
      this.#fault ??= faultOf(event.error)
    })
    // Thrown before it is recorded: a command buffer with one invalid part takes all its work with it.
    Object.assign(device, {
      createShaderModule: this.#throwing(device.createShaderModule),
      createComputePipeline: this.#throwing(device.createComputePipeline),
      createBindGroup: this.#throwing(device.createBindGroup)
    })
    Object.assign(this, { bufferManager: new BufferPool((descriptor) => this.#createBuffer(descriptor)) })
  }

  get pool(): BufferPool {
    return this.bufferManager as unknown as BufferPool
  }

  override write(values: tf.BackendValues, shape: Array<number>, dtype: tf.DataType): object {
    const id = super.write(values, shape, dtype)
    if (values != null && dtype !== "string" && tf.util.sizeFromShape(shape) > 0) this.uploadToGPU(id)
    return id
  }

  override uploadToGPU(id: object): void {
    const data = this.tensorMap.get(id)
    if (data.resource != null) return
    this.#checkLoss()
    const bytes = (data.dtype === "complex64" ? 8 : 4) * tf.util.sizeFromShape(data.shape)
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits
    const limit = Math.min(maxBufferSize, maxStorageBufferBindingSize)
    if (bytes > limit) throw new BufferTooLarge({ shape: data.shape, bytes, limit })
    const buffer = this.pool.acquireBuffer(
      bytes,
      GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST
    )
    if (data.values != null) {
      this.#checked(() => this.queue.writeBuffer(buffer, 0, wordsOf(data.values, data.dtype)))
      data.values = null as never
    }
    data.resource = buffer
  }

  override runWebGPUProgram(
    ...[program, inputs, dtype, uniforms, output]: Parameters<WebGPUBackend["runWebGPUProgram"]>
  ): ReturnType<WebGPUBackend["runWebGPUProgram"]> {
    this.#checkLoss()
    repair(program, dtype)
    const result = output ?? this.makeTensorInfo(program.outputShape, dtype)
    try {
      return this.#checked(() => super.runWebGPUProgram(program, inputs, dtype, uniforms, result))
    } catch (error) {
      if (!output) this.disposeData(result.dataId)
      throw error
    }
  }

  override submitQueue(): void {
    try {
      this.#checked(() => super.submitQueue())
    } catch (error) {
      this.#refused.push(error)
      throw error
    }
  }

  /** A copy of the tensor's values as they are when this is called. */
  override async read(id: object): Promise<tf.BackendValues> {
    if (!this.tensorMap.has(id)) throw new Error("a tensor was read after it had been disposed")
    const { dtype, resource, values } = this.tensorMap.get(id)
    if (values != null) return values.slice() as tf.BackendValues
    if (dtype === "complex64" || resource == null) return super.read(id)
    this.#checkLoss()
    const source = resource as GPUBuffer
    const inner = internals(this)
    const staging = this.pool.acquireBuffer(source.size, GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ)
    this.ensureCommandEncoderReady()
    this.endComputePassEncoder()
    inner.commandEncoder!.copyBufferToBuffer(source, 0, staging, 0, source.size)
    inner.commandQueueOwnedIds.add(id)
    const refused = this.#refused.length
    try {
      this.#flushing ??= Promise.resolve().then(() => this.#flush())
      await this.#flushing
      await staging.mapAsync(GPUMapMode.READ)
      if (this.#refused.length > refused) throw this.#refused[refused]
      const words = staging.getMappedRange().slice(0)
      staging.unmap()
      this.pool.releaseBuffer(staging)
      return tf.util.convertBackendValuesAndArrayBuffer(words, dtype)
    } catch (error) {
      this.pool.releaseBuffer(staging, false)
      // Reading fails when the device goes, maybe a moment before the device says so.
      if (!(error instanceof DeviceFault)) await Promise.race([this.lost, setTimeout(1000)])
      this.#checkLoss()
      throw error
    }
  }

  override readSync(id: object): tf.BackendValues {
    const { values } = this.tensorMap.get(id)
    if (values != null) return values
    this.#checkLoss()
    throw new SynchronousRead()
  }

  /**
   * Small tensors would be computed by JavaScript if they had not reached the GPU yet, so that the bits of a result would
   * depend on the history of its inputs.
   */
  override shouldExecuteOnCPU(): boolean {
    return false
  }

  /**
   * Runs a program of `groups` workgroups, if any; buffers and uniforms by name. Tensors that it writes are overwritten in
   * place.
   */
  dispatch(
    program: Program,
    tensors: Readonly<Record<string, tf.TensorInfo>>,
    uniforms: Readonly<Record<string, number>>,
    groups: readonly [x: number, y?: number]
  ): void {
    this.#checkLoss()
    if (groups.includes(0)) return
    const names = Object.keys(program.buffers)
    for (const name of names) this.uploadToGPU(tensors[name]!.dataId)
    this.#checked(() => {
      const inner = internals(this)
      const pipeline = this.#pipelineOf(program)
      const block = inner.makeUniforms(
        Object.entries(program.uniforms).map(([name, type]) => ({
          type: type === "f32" ? "float32" : "uint32",
          data: [uniforms[name]!]
        }))
      )
      const entries = names.map((name, binding) => ({
        binding,
        resource: { buffer: this.tensorMap.get(tensors[name]!.dataId).resource as GPUBuffer }
      }))
      const bindGroup = this.device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: [...entries, { binding: names.length, resource: block }]
      })
      for (const name of names) inner.commandQueueOwnedIds.add(tensors[name]!.dataId)
      this.ensureCommandEncoderReady()
      inner.computePassEncoder ??= inner.commandEncoder!.beginComputePass()
      inner.computePassEncoder.setPipeline(pipeline)
      inner.computePassEncoder.setBindGroup(0, bindGroup)
      inner.computePassEncoder.dispatchWorkgroups(...groups)
      inner.dispatchCountInPass++
    })
    if (internals(this).dispatchCountInPass >= tf.env().getNumber("WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE")) {
      this.endComputePassEncoder()
      this.submitQueue()
    }
  }

  /** Sets a tensor to zeros. */
  clear(tensor: tf.TensorInfo): void {
    this.uploadToGPU(tensor.dataId)
    const inner = internals(this)
    this.ensureCommandEncoderReady()
    this.endComputePassEncoder()
    inner.commandEncoder!.clearBuffer(this.tensorMap.get(tensor.dataId).resource as GPUBuffer)
    inner.commandQueueOwnedIds.add(tensor.dataId)
  }

  /** A tensor of the backend's own, kept for its life; made on first use. */
  constant(key: string, make: () => tf.TensorInfo): tf.TensorInfo {
    const known = this.#constants.get(key)
    if (known) return known
    const made = make()
    this.#constants.set(key, made)
    return made
  }

  /** Gives the device back; everything on it is gone. */
  override dispose(): void {
    super.dispose()
    this.device.destroy()
  }

  #flush(): void {
    this.#flushing = undefined
    this.endComputePassEncoder()
    if (internals(this).commandEncoder) this.submitQueue()
  }

  #pipelineOf(program: Program): GPUComputePipeline {
    const known = this.#pipelines.get(program.name)
    if (known) return known
    const module = this.device.createShaderModule({ label: program.name, code: sourceOf(program) })
    const pipeline = this.device.createComputePipeline({
      label: program.name,
      layout: "auto",
      compute: { module, entryPoint: "main" }
    })
    this.#pipelines.set(program.name, pipeline)
    return pipeline
  }

  /** When memory is short, free buffers make room before the attempt fails. */
  #createBuffer(descriptor: GPUBufferDescriptor): GPUBuffer {
    const buffer = this.device.createBuffer(descriptor)
    if (this.#fault?.kind !== "out-of-memory") return this.#checked(() => buffer)
    this.#fault = undefined
    this.pool.trim(0)
    return this.#checked(() => this.device.createBuffer(descriptor))
  }

  #checkLoss(): void {
    if (this.#loss) throw new DeviceLost({ reason: this.#loss.reason })
  }

  #checked<A>(run: () => A): A {
    const result = run()
    this.#throwFault()
    return result
  }

  #throwing<Descriptor, A>(method: (descriptor: Descriptor) => A): (descriptor: Descriptor) => A {
    return (descriptor) => this.#checked(() => method.call(this.device, descriptor))
  }

  #throwFault(): void {
    const fault = this.#fault
    this.#fault = undefined
    if (fault) throw fault
  }
}

type LibraryProgram = Parameters<WebGPUBackend["runWebGPUProgram"]>[0]

/** Puts right what is wrong in the library's own programs. */
const repair = (program: LibraryProgram, dtype: tf.DataType): void => {
  // The shader holds the length of the last axis, and the key under which the shader is kept does not.
  if (program.shaderKey.startsWith("cum_")) program.shaderKey += `_${program.outputShape.at(-1)}`
  // Moves integers and truth values by the function for floats, which does not compile.
  if (program.shaderKey.startsWith("transpose_") && dtype !== "float32") {
    const code = program.getUserCode()
    program.getUserCode = () => code.replaceAll("setOutputAtIndex(", "setOutputAtIndexI32(")
  }
}

/** What we use of the library's class besides its public members. */
interface Internals {
  readonly commandEncoder: GPUCommandEncoder | null
  computePassEncoder: GPUComputePassEncoder | null
  readonly commandQueueOwnedIds: WeakSet<object>
  dispatchCountInPass: number
  readonly makeUniforms: (
    values: ReadonlyArray<{ readonly type: string; readonly data: ReadonlyArray<number> }>
  ) => GPUBufferBinding
}

const internals = (backend: WebGPUBackend) => backend as unknown as Internals

const faultOf = (error: GPUError): DeviceFault => {
  const name = error.constructor.name
  const kind = name.includes("Memory") ? "out-of-memory" : name.includes("Validation") ? "validation" : "internal"
  return new DeviceFault({ kind, reason: error.message.split("\n")[0]! })
}

/** Values as the GPU holds them: every element takes four bytes. */
const wordsOf = (values: tf.BackendValues, dtype: tf.DataType): Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> => {
  const numbers = values as ArrayLike<number>
  return dtype === "int32" || dtype === "bool" ? Int32Array.from(numbers) : Float32Array.from(numbers)
}

const sourceOf = ({ buffers, code, uniforms }: Program): string => {
  const names = Object.entries(buffers)
  const declared = names.map(([name, kind], binding) => {
    const [access, type] = kind.split(" ") as ["read" | "write", string]
    const mode = access === "read" ? "read" : "read_write"
    return `@group(0) @binding(${binding}) var<storage, ${mode}> ${name}: array<${type}>;`
  })
  const fields = Object.entries(uniforms).map(([name, type]) => `${name}: ${type}`)
  return [
    `struct Uniforms { ${fields.join(", ")} };`,
    ...declared,
    `@group(0) @binding(${names.length}) var<uniform> u: Uniforms;`,
    code
  ].join("\n")
}
