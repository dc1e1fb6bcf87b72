/** Any modern GPU through WebGPU: npm's `webgpu` (Dawn, on Vulkan, Metal or Direct3D 12) and our own WGSL kernels. */
import { createRequire } from "node:module"
import * as tf from "@tensorflow/tfjs"
import { liveTensors, makeCurrent } from "../current.ts"
import type { Opened } from "../Opened.ts"
import { findAdapter, isSoftware, nameOf } from "./adapter.ts"
import { Backend } from "./Backend.ts"
import "./kernels/index.ts"

/**
 * Opens the fastest GPU of the machine.
 * **Details** One device in a process at a time: opening it again while it is open is refused; after `close` or a loss it
 * can be opened anew, and then tensors from before are gone. Fails if no adapter is found; nothing falls back.
 * **Gotchas** Values come back asynchronously only. The process does not exit before `close`.
 */
export const open = async (): Promise<Opened> => {
  if (current && (await stillThere(current))) throw new Error("the webgpu device is already open in this process")
  if (current) close(current)
  const { adapter, globals, gpu } = await findAdapter()
  Object.assign(globalThis, globals) // the tensor library tells GPU objects apart by their global classes
  const device = await adapter.requestDevice({
    requiredFeatures: FEATURES.filter((feature) => adapter.features.has(feature)),
    requiredLimits: Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit] as number]))
  })
  const backend = withNavigator(gpu, () => new Backend(device, adapter.info))
  current = backend
  tf.registerBackend(NAME, () => backend)
  try {
    await makeCurrent(NAME)
    if (tf.engine().backend !== backend) throw new Error("the tensor library stands on another webgpu backend")
  } catch (error) {
    close(backend)
    throw error
  }
  return describe(backend, adapter)
}

const NAME = "webgpu"

/** Timing of kernels is possible where the GPU offers it; 16-bit floats are not asked for. */
const FEATURES = ["timestamp-query"] as const

/** Limits that are raised from the portable minimum to what the adapter has. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupsPerDimension"
] as const

let current: Backend | undefined

/** The library looks for the browser's `navigator.gpu` while its backend is constructed. */
const withNavigator = <A>(gpu: object, run: () => A): A => {
  Object.defineProperty(globalThis.navigator, "gpu", { value: gpu, configurable: true })
  try {
    return run()
  } finally {
    Reflect.deleteProperty(globalThis.navigator, "gpu")
  }
}

const stillThere = (backend: Backend): Promise<boolean> =>
  Promise.race([
    backend.lost.then(() => false),
    new Promise<boolean>((resolve) => {
      setImmediate(() => resolve(true))
    })
  ])

const close = (backend: Backend): void => {
  if (current !== backend) return
  current = undefined
  if (tf.engine().registry[NAME] === backend) tf.removeBackend(NAME)
  else backend.dispose()
}

const describe = (backend: Backend, { info, limits }: GPUAdapter): Opened => {
  const versions = `tfjs-webgpu-${versionOf("@tensorflow/tfjs-backend-webgpu")} dawn-${versionOf("webgpu")}`
  let closing = false
  return {
    numerics: { backend: NAME, kernels: `${versions} ${nameOf(info)}`, precision: "float32" },
    tensors: liveTensors,
    details: {
      adapter: nameOf(info),
      kind: isSoftware(info) ? "software" : "hardware",
      library: versions,
      "largest buffer": `${Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize)} bytes`
    },
    lost: backend.lost.then((reason) => (closing ? new Promise<string>(() => {}) : reason)),
    close: async () => {
      closing = true
      close(backend)
      await backend.lost
    }
  }
}

const versionOf = (name: string): string => {
  const { version } = createRequire(import.meta.url)(`${name}/package.json`) as { readonly version: string }
  return version
}
