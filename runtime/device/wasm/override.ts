import * as tf from "@tensorflow/tfjs"
import { type Heap, heapOf } from "./host.ts"

export type Inputs = Readonly<Record<string, tf.TensorInfo>>

/** What a kernel may call besides our own exports. */
export interface Others {
  /** The kernel that this one replaces, with other inputs or attributes where given. Throws where there is none. */
  readonly published: (inputs?: Inputs, attributes?: object) => tf.TensorInfo
  /** Any kernel of the wasm backend, replaced or not. */
  readonly call: (name: string, inputs: Inputs, attributes?: object) => tf.TensorInfo
}

/** A kernel of the wasm backend that replaces the published one or adds a missing one. */
export interface Override {
  readonly name: string
  readonly run: (heap: Heap, inputs: Inputs, attributes: never, others: Others) => tf.TensorInfo
}

export const override = <Attributes extends object>(
  name: string,
  run: (heap: Heap, inputs: Inputs, attributes: Attributes, others: Others) => tf.TensorInfo
): Override => ({ name, run })

/** Puts a kernel into tfjs's registry; a second time changes nothing. Comes after the backend's own registration. */
export const install = ({ name, run }: Override): void => {
  const published = tf.getKernel(name, BACKEND)
  if (published && installed.has(published)) return
  const config: tf.KernelConfig = {
    ...published,
    kernelName: name,
    backendName: BACKEND,
    kernelFunc: ({ attrs, backend, inputs }) =>
      run(heapOf(backend), inputs as Inputs, attrs as never, {
        published: (otherInputs = inputs as Inputs, otherAttributes = attrs as object) => {
          if (!published) throw new Error(`the published wasm backend has no kernel ${name}`)
          return invoke(published, backend, otherInputs, otherAttributes)
        },
        call: (other, otherInputs, otherAttributes = {}) => {
          const found = tf.getKernel(other, BACKEND)
          if (!found) throw new Error(`the wasm backend has no kernel ${other}`)
          return invoke(found, backend, otherInputs, otherAttributes)
        }
      })
  }
  if (published) tf.unregisterKernel(name, BACKEND)
  tf.registerKernel(config)
  installed.add(tf.getKernel(name, BACKEND)!)
}

const BACKEND = "wasm"
const installed = new WeakSet<tf.KernelConfig>()

const invoke = (config: tf.KernelConfig, backend: object, inputs: Inputs, attributes: object) =>
  config.kernelFunc({
    backend,
    inputs: inputs as tf.NamedTensorInfoMap,
    attrs: attributes as tf.NamedAttrMap
  }) as tf.TensorInfo
