/** What libtensorflow reads from the environment when it is loaded, and what of it decides bits. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { arch, availableParallelism, cpus, hostname } from "node:os"
import { isMainThread } from "node:worker_threads"
import type { Kind } from "./locate.ts"

type Variables = Readonly<Record<string, string>>

/** Taken unless the user has set them: how much TensorFlow says, its threads, and which of its CPU kernels run. */
const defaults = (): Variables => ({
  TF_CPP_MIN_LOG_LEVEL: "2",
  TF_ENABLE_ONEDNN_OPTS: "1",
  TF_NUM_INTRAOP_THREADS: String(availableParallelism()),
  TF_NUM_INTEROP_THREADS: "1"
})

/** On a GPU: float32 is not cut to TF32, kernels sum in a fixed order, and memory is taken as it is needed. */
const onGpu: Variables = {
  NVIDIA_TF32_OVERRIDE: "0",
  TF_DETERMINISTIC_OPS: "1",
  TF_CUDNN_DETERMINISTIC: "1",
  TF_FORCE_GPU_ALLOW_GROWTH: "true"
}

/**
 * The variables a device of this kind runs with: the user's own where they may differ.
 * **Gotchas** A worker thread's `process.env` is a copy that native code does not see: set them on the main thread before
 * it starts workers.
 */
export const variablesFor = (kind: Kind, env: NodeJS.ProcessEnv = process.env): Variables => {
  const chosen = Object.entries(defaults()).map(([name, value]) => [name, env[name] || value])
  return { ...Object.fromEntries(chosen), ...(kind === "node-gpu" ? onGpu : {}) }
}

/** Sets them for this process; throws on a worker thread whose process has others. */
export const setVariables = (variables: Variables): void => {
  for (const [name, value] of Object.entries(variables)) {
    if (process.env[name] === value) continue
    if (!isMainThread)
      throw new Error(`${name} has to be ${value} before worker threads start: TensorFlow reads it from the process`)
    process.env[name] = value
  }
}

/** The processor and its widest float instructions: libraries choose kernels by them, and cut matrices by its caches. */
export const processor = (): string => {
  const model = cpus()[0]?.model.trim() || arch()
  if (!existsSync("/proc/cpuinfo")) return model
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1]?.trim().split(/\s+/) ?? []
  const widest = ["avx512f", "avx2", "avx"].find((name) => flags.includes(name))
  return widest === undefined ? model : `${model} ${widest}`
}

/** The GPUs that NVIDIA's driver shows, and its version; empty where there is no such driver. Linux only. */
export const nvidia = (
  root = "/proc/driver/nvidia"
): { readonly models: ReadonlyArray<string>; readonly driver: string } => {
  const read = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : "")
  const gpus = existsSync(`${root}/gpus`) ? readdirSync(`${root}/gpus`).sort() : []
  const models = gpus.map((gpu) => /^Model:\s*(.+)$/m.exec(read(`${root}/gpus/${gpu}/information`))?.[1]?.trim() ?? gpu)
  return { models, driver: /Kernel Module.*?\s(\d+(?:\.\d+)+)\s/.exec(read(`${root}/version`))?.[1] ?? "" }
}

/**
 * The GPU that TensorFlow computes on, as far as it can be told apart: where there are several models, what the user made
 * visible of them says which one it is, and where the driver shows none (Windows' Linux, some containers), the machine.
 */
export const gpuName = (models: ReadonlyArray<string>, env: NodeJS.ProcessEnv = process.env): string => {
  if (models.length === 0) return `unnamed on ${hostname()}`
  const chosen = ["CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"].flatMap((name) =>
    env[name] ? [`${name}=${env[name]}`] : []
  )
  return [models.join(", "), ...(new Set(models).size > 1 ? chosen : [])].join(" ")
}
