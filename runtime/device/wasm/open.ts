/** The default device: the library's SIMD backend, with our own kernels in its memory. It is in the npm install itself. */
import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import * as tf from "@tensorflow/tfjs"
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm"
import { liveTensors, makeCurrent } from "../current.ts"
import type { Opened } from "../Opened.ts"
import { registerFused } from "./fused.ts"
import { heapOf, loadKernels } from "./host.ts"
import { registerKernels } from "./kernels.ts"
import { withAnswer, withSharedMemory } from "./sharedMemory.ts"
import { makeTeam, threadsAskedFor } from "./threads.ts"

export const open = async (): Promise<Opened> => {
  if (!(await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT"))) throw new Error("this machine's WebAssembly has no SIMD")
  const asked = threadsAskedFor()
  await makeBackend(asked > 1)
  const { backend } = tf.engine()
  const kernels = await loadKernels(backend)
  const { build, digest, memory } = kernels
  registerKernels()
  registerFused()
  const heap = heapOf(backend)
  const isShared = memory.buffer instanceof SharedArrayBuffer
  const team = asked > 1 && isShared ? makeTeam(heap, kernels, asked) : undefined
  const library = tf.version["tfjs-core"]
  return {
    numerics: { backend: "wasm", kernels: `tfjs-${library} ${build} ${digest.slice(0, 16)}`, precision: "float32" },
    tensors: liveTensors,
    details: {
      library: `TensorFlow.js ${library}`,
      instructions: build === "fma" ? "128-bit SIMD, fused multiply-add" : "128-bit SIMD",
      kernels: digest.slice(0, 16),
      get threads() {
        return team?.describe() ?? "1"
      }
    },
    ...(team && { close: team.close })
  }
}

/** Makes the library's backend, whose memory other threads may share if that is asked for, or takes the one there is. */
const makeBackend = async (shared: boolean): Promise<void> => {
  const file = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm")
  const files = Object.fromEntries(binaries.map((name) => [name, file]))
  setWasmPaths(files, shared)
  if (!shared) return makeCurrent("wasm")
  const bytes = withSharedMemory(await readFile(file))
  return withAnswer(bytes, () => makeCurrent("wasm"))
}

/** The names by which the library asks for its binary; it is always the same one here. */
const binaries = ["tfjs-backend-wasm.wasm", "tfjs-backend-wasm-simd.wasm", "tfjs-backend-wasm-threaded-simd.wasm"]
