/** The reference backend's memory, which is plain typed arrays, and how a kernel in TypeScript is registered for it. */
import * as tf from "@tensorflow/tfjs"

/** The memory as a kernel sees it. */
export interface Memory {
  /** The values of a float32 tensor, to read or to write in place. */
  readonly floats: (tensor: tf.TensorInfo) => Float32Array
  /** A new float32 tensor of zeros. */
  readonly allocate: (shape: ReadonlyArray<number>) => tf.TensorInfo
}

export type Inputs = Readonly<Record<string, tf.TensorInfo>>

/** Registers the kernel of an operation; see `operation` for what it is given and returns. */
export const define = <Attributes extends object>(
  name: string,
  run: (memory: Memory, inputs: Inputs, attributes: Attributes) => ReadonlyArray<tf.TensorInfo>
): void => {
  const kernelName = `Prefline${name}`
  if (tf.getKernel(kernelName, "cpu")) tf.unregisterKernel(kernelName, "cpu")
  tf.registerKernel({
    kernelName,
    backendName: "cpu",
    kernelFunc: ({ attrs, backend, inputs }) => [
      ...run(memoryOf(backend as CpuBackend), inputs as Inputs, attrs as unknown as Attributes)
    ]
  })
}

/** What we use of the reference backend's class. */
interface CpuBackend {
  readonly readSync: (id: object) => Float32Array
  readonly makeTensorInfo: (shape: ReadonlyArray<number>, dtype: tf.DataType, values: object) => tf.TensorInfo
}

const memoryOf = (backend: CpuBackend): Memory => ({
  floats: (tensor) => backend.readSync(tensor.dataId),
  allocate: (shape) =>
    backend.makeTensorInfo([...shape], "float32", new Float32Array(tf.util.sizeFromShape([...shape])))
})
