/**
 * Tensor kernels written in plain TypeScript. A kernel reads and writes the backend's own memory in place: the wasm heap,
 * or the typed arrays of the reference backend. Both run the same code, so a kernel has one meaning, not two.
 */
import * as tf from "@tensorflow/tfjs"

/** A backend's memory as a kernel sees it. */
export interface Storage {
  /** Live view of a float32 tensor. Valid until the next `allocate`, which may move the wasm heap. */
  readonly floats: (tensor: tf.TensorInfo) => Float32Array
  /** Live view of an int32 tensor, under the same rule. */
  readonly ints: (tensor: tf.TensorInfo) => Int32Array
  /** Live view of a bool tensor, one byte an element, under the same rule. */
  readonly bytes: (tensor: tf.TensorInfo) => Uint8Array
  /** A new tensor whose values are undefined: the kernel writes every element. */
  readonly allocate: (shape: ReadonlyArray<number>, dtype?: "float32" | "int32" | "bool") => tf.TensorInfo
  /** Frees a temporary tensor of the kernel's own. */
  readonly release: (tensor: tf.TensorInfo) => void
  /** Runs another kernel of the same backend. */
  readonly run: (kernel: string, inputs: Inputs, attributes?: object) => tf.TensorInfo
}

export type Inputs = Readonly<Record<string, tf.TensorInfo>>

/** Registers a kernel for every backend whose memory JavaScript can reach. Defining it again replaces it. */
export const define = <Attributes extends object>(
  name: string,
  run: (storage: Storage, inputs: Inputs, attributes: Attributes) => ReadonlyArray<tf.TensorInfo>
): void => {
  for (const backendName of Object.keys(storages) as Array<keyof typeof storages>)
    replace({
      kernelName: name,
      backendName,
      kernelFunc: ({ attrs, backend, inputs }) => [
        ...run(storages[backendName](backend), inputs as Inputs, attrs as unknown as Attributes)
      ]
    })
}

/** Replaces a kernel in tfjs's registry, without its warning about that. */
export const replace = (config: tf.KernelConfig): void => {
  if (tf.getKernel(config.kernelName, config.backendName)) tf.unregisterKernel(config.kernelName, config.backendName)
  tf.registerKernel(config)
}

/** Runs a kernel of `define` on the current backend; it has no gradient unless the caller is inside `tf.customGrad`. */
export const call = (name: string, inputs: Readonly<Record<string, tf.Tensor>>, attributes: object) =>
  tf.engine().runKernel(name, inputs, attributes as tf.NamedAttrMap) as unknown as ReadonlyArray<tf.Tensor>

/** A forward pass: its value, the tensors its gradient needs again, and that gradient, one tensor per input. */
export interface Differentiable {
  readonly value: tf.Tensor
  readonly saved: ReadonlyArray<tf.Tensor>
  /** All tensors at once, never one by one on demand: tfjs disposes what one input's closure makes before the next. */
  readonly gradient: (dy: tf.Tensor, saved: ReadonlyArray<tf.Tensor>) => ReadonlyArray<tf.Tensor>
}

/** An operation with its own gradient. */
export const differentiable = <Inputs extends ReadonlyArray<tf.Tensor>>(
  inputs: Inputs,
  forward: (...inputs: Inputs) => Differentiable
): tf.Tensor => {
  const operation = (...given: ReadonlyArray<unknown>) => {
    const save = given.at(-1) as (tensors: Array<tf.Tensor>) => void
    const { gradient, saved, value } = forward(...(given.slice(0, -1) as unknown as Inputs))
    save([...saved])
    return { value, gradFunc: (dy: tf.Tensor, tensors: Array<tf.Tensor>) => [...gradient(dy, tensors)] }
  }
  return tf.customGrad(operation as Parameters<typeof tf.customGrad>[0])(...inputs)
}

/** What we use of the wasm backend's class, which keeps these members out of its types. */
interface WasmBackend {
  readonly typedArrayFromHeap: (tensor: tf.TensorInfo) => Float32Array | Int32Array | Uint8Array
  readonly makeOutput: (shape: ReadonlyArray<number>, dtype: tf.DataType) => tf.TensorInfo
  readonly disposeData: (id: object) => boolean
}

/** What we use of the reference backend's class. */
interface CpuBackend {
  readonly readSync: (id: object) => Float32Array | Int32Array | Uint8Array
  readonly makeTensorInfo: (shape: ReadonlyArray<number>, dtype: tf.DataType, values: object) => tf.TensorInfo
  readonly disposeIntermediateTensorInfo: (tensor: tf.TensorInfo) => void
}

const runOn =
  (backendName: string, backend: object) =>
  (kernel: string, inputs: Inputs, attributes: object = {}): tf.TensorInfo => {
    const found = tf.getKernel(kernel, backendName)
    if (!found) throw new Error(`the ${backendName} backend has no kernel ${kernel}`)
    return found.kernelFunc({
      inputs: inputs as tf.NamedTensorInfoMap,
      backend,
      attrs: attributes as tf.NamedAttrMap
    }) as tf.TensorInfo
  }

const wasmStorage = (wasm: WasmBackend): Storage => ({
  floats: (tensor) => wasm.typedArrayFromHeap(tensor) as Float32Array,
  ints: (tensor) => wasm.typedArrayFromHeap(tensor) as Int32Array,
  bytes: (tensor) => wasm.typedArrayFromHeap(tensor) as Uint8Array,
  allocate: (shape, dtype = "float32") => wasm.makeOutput([...shape], dtype),
  release: (tensor) => void wasm.disposeData(tensor.dataId),
  run: runOn("wasm", wasm)
})

const cpuStorage = (cpu: CpuBackend): Storage => ({
  floats: (tensor) => cpu.readSync(tensor.dataId) as Float32Array,
  ints: (tensor) => cpu.readSync(tensor.dataId) as Int32Array,
  bytes: (tensor) => cpu.readSync(tensor.dataId) as Uint8Array,
  allocate: (shape, dtype = "float32") =>
    cpu.makeTensorInfo([...shape], dtype, tf.util.makeZerosTypedArray(tf.util.sizeFromShape([...shape]), dtype)),
  release: (tensor) => cpu.disposeIntermediateTensorInfo(tensor),
  run: runOn("cpu", cpu)
})

const remembered = <Backend extends object>(make: (backend: Backend) => Storage) => {
  const made = new WeakMap<object, Storage>()
  return (backend: object): Storage => {
    const known = made.get(backend)
    if (known) return known
    const storage = make(backend as Backend)
    made.set(backend, storage)
    return storage
  }
}

const storages = { wasm: remembered(wasmStorage), cpu: remembered(cpuStorage) }

/** The memory of a live wasm backend, for kernels that exist on wasm only. */
export const wasmMemory: (backend: object) => Storage = storages.wasm
