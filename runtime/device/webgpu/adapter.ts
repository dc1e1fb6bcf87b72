/** Looks for a GPU with Dawn, without loading the tensor library. */

export interface Found {
  readonly adapter: GPUAdapter
  /** What a browser calls `navigator.gpu`. */
  readonly gpu: object
  /** WebGPU's global classes and constants. */
  readonly globals: object
}

/**
 * The machine's fastest adapter; throws with what is missing and what would help.
 * **Gotchas** An adapter makes one device only. With no driver at all, Dawn itself prints a warning.
 */
export const findAdapter = async (): Promise<Found> => {
  const { create, globals } = await load()
  root ??= create([])
  const gpu = root
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" })
  if (!adapter) throw new Error(NO_ADAPTER)
  return { adapter, gpu, globals }
}

/** Vendor, architecture, device and driver, as far as the driver tells. */
export const nameOf = (info: GPUAdapterInfo): string =>
  [info.vendor, info.architecture, info.device, info.description].filter((part) => part !== "").join("/")

/** Whether the adapter computes on the CPU: right, and slower than any other device. */
export const isSoftware = (info: GPUAdapterInfo): boolean =>
  "isFallbackAdapter" in info && info.isFallbackAdapter === true

/** Dawn's root, for the life of the process: a device crashes it once the root has been collected as garbage. */
let root: GPU | undefined

const NO_ADAPTER =
  "WebGPU finds no adapter. It needs a GPU with its driver: on Linux a Vulkan driver and its loader (libvulkan1), named by " +
  "VK_DRIVER_FILES or VK_ICD_FILENAMES if it is not where Vulkan looks. For tests a software adapter will do: .ci/software-gpu"

const load = async () => {
  try {
    return await import("webgpu")
  } catch (cause) {
    throw new Error(
      `the optional package "webgpu" (Dawn) cannot be loaded on ${process.platform}-${process.arch}; ` +
        "npm install --include=optional brings it",
      { cause }
    )
  }
}
