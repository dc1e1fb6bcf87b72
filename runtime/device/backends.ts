/** Opens a backend of the tensor library. Loaded by `Device` on acquisition only, because it imports that library. */
import { createRequire } from "node:module"
import { dirname, sep } from "node:path"
import * as tf from "@tensorflow/tfjs"
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm"
import { KERNELS } from "../tensor/wasmKernels.ts"
import type { Kind, Numerics } from "./Device.ts"

export interface Opened {
  readonly numerics: Numerics
  readonly tensors: () => { readonly count: number; readonly bytes: number }
}

/** Makes `kind` the current backend and makes sure that it is; throws with the reason otherwise. */
export const open = async (kind: Kind): Promise<Opened> => {
  if (kind === "wasm")
    setWasmPaths(dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm")) + sep)
  const accepted = await withoutNewProcessListeners(() => tf.setBackend(kind))
  if (!accepted || tf.getBackend() !== kind)
    throw new Error(`the tensor library refused the backend "${kind}" and stands on "${tf.getBackend()}"`)
  if (kind === "cpu") silenceBanner()
  const instructions = kind === "wasm" ? ((await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT")) ? "simd" : "scalar") : "js"
  return {
    numerics: {
      backend: kind,
      kernels: `tfjs-${tf.version["tfjs-core"]} ${instructions} ${KERNELS}`,
      precision: "float32"
    },
    tensors: () => {
      const { numBytes, numTensors } = tf.memory()
      return { count: numTensors, bytes: numBytes }
    }
  }
}

/** The wasm loader adds handlers for uncaught errors to the whole process, which would hide the program's own. */
const withoutNewProcessListeners = async <A>(run: () => Promise<A>): Promise<A> => {
  const events = ["uncaughtException", "unhandledRejection"] as const
  const before = events.map((event) => new Set<unknown>(process.listeners(event as "uncaughtException")))
  const result = await run()
  events.forEach((event, i) => {
    for (const listener of process.listeners(event as "uncaughtException"))
      if (!before[i]!.has(listener)) process.removeListener(event, listener)
  })
  return result
}

/** The reference backend advertises tfjs-node on its first use. */
const silenceBanner = () => {
  Object.assign(tf.engine().backend, { firstUse: false })
}
