/** TensorFlow's own kernels, through tfjs-node: `node` computes on the CPU, `node-gpu` on an NVIDIA GPU with CUDA. */
import { createRequire, registerHooks } from "node:module"
import { join, sep } from "node:path"
import { pathToFileURL } from "node:url"
import * as tf from "@tensorflow/tfjs"
import { liveTensors, makeCurrent } from "../current.ts"
import type { Opened } from "../Opened.ts"
import { gpuName, nvidia, processor, setVariables, variablesFor } from "./environment.ts"
import { type Kind, locate } from "./locate.ts"

/** The package's backend, as far as it is used here. */
interface Backend {
  readonly isGPUPackage: boolean
  readonly isUsingGpuDevice: boolean
  readonly binding: { readonly TF_Version: string }
}

/**
 * Loads a package and makes its backend the current one; throws with what is missing and what would help.
 * **Gotchas** Both kinds register the same backend: a process can use one of them.
 */
export const open = async (kind: Kind): Promise<Opened> => {
  const folder = locate(kind)
  const variables = variablesFor(kind)
  setVariables(variables)
  load(folder)
  await makeCurrent("tensorflow")
  const backend = tf.backend() as unknown as Backend
  if (backend.isGPUPackage !== (kind === "node-gpu"))
    throw new Error("this process has loaded the other TensorFlow package, and can use only one")
  if (kind === "node-gpu" && !backend.isUsingGpuDevice) throw new Error(NO_GPU)
  const { TF_Version: version } = backend.binding
  const library = `tfjs-${tf.version["tfjs-core"]} tensorflow-${version}`
  const { details, kernels } = kind === "node-gpu" ? gpu() : cpu(variables)
  return {
    numerics: { backend: kind, kernels: `${library} ${kernels}`, precision: "float32" },
    tensors: liveTensors,
    details: { library: `TensorFlow ${version}`, package: folder, ...details }
  }
}

/** Sums are cut by threads, instructions and caches, so all of these decide bits. */
const cpu = (variables: Readonly<Record<string, string>>) => {
  const threads = variables["TF_NUM_INTRAOP_THREADS"]!
  const oneDnn = variables["TF_ENABLE_ONEDNN_OPTS"]!
  return {
    kernels: `onednn-${oneDnn} threads-${threads} ${processor()}`,
    details: { processor: processor(), threads, oneDNN: oneDnn === "0" ? "off" : "on" }
  }
}

const gpu = () => {
  const { driver, models } = nvidia()
  return { kernels: `deterministic ${gpuName(models)}`, details: { gpu: gpuName(models), driver } }
}

const NO_GPU =
  "TensorFlow sees no GPU, and would compute on the CPU (the device `node` does). `nvidia-smi` shows whether the driver " +
  "does; TensorFlow also needs CUDA 12 and cuDNN 9, which `npm run build:node -- --gpu` brings along. " +
  "TF_CPP_MIN_LOG_LEVEL=0 lets TensorFlow say what it misses."

/**
 * Requires the package with the project's own tensor library, which its backend has to register with, and with the
 * functions that it expects of Node.
 */
const load = (folder: string): void => {
  const own = createRequire(import.meta.url)
  const inside = pathToFileURL(folder + sep).href
  const file = (path: string) => ({ url: pathToFileURL(path).href, format: "commonjs", shortCircuit: true })
  const hooks = registerHooks({
    resolve: (specifier, context, next) => {
      if (!context.parentURL?.startsWith(inside)) return next(specifier, context)
      if (specifier === "util") return file(own.resolve("./util.cjs"))
      if (/^@tensorflow\/tfjs(-core)?($|\/)/.test(specifier)) return file(own.resolve(specifier))
      return next(specifier, context)
    }
  })
  try {
    createRequire(join(folder, "package.json"))(folder)
  } catch (cause) {
    throw new Error(`${folder} does not load: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  } finally {
    hooks.deregister()
  }
}
