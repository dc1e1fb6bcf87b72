/** The default device: the library's SIMD backend, with our own kernels in its memory. It is in the npm install itself. */
import { createRequire } from "node:module"
import { dirname, sep } from "node:path"
import * as tf from "@tensorflow/tfjs"
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm"
import { liveTensors, makeCurrent } from "../current.ts"
import type { Opened } from "../Opened.ts"
import { registerFused } from "./fused.ts"
import { loadKernels } from "./host.ts"
import { registerKernels } from "./kernels.ts"

export const open = async (): Promise<Opened> => {
  if (!(await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT"))) throw new Error("this machine's WebAssembly has no SIMD")
  setWasmPaths(dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm")) + sep)
  await makeCurrent("wasm")
  const { build, digest } = await loadKernels(tf.engine().backend)
  registerKernels()
  registerFused()
  const library = tf.version["tfjs-core"]
  return {
    numerics: { backend: "wasm", kernels: `tfjs-${library} ${build} ${digest.slice(0, 16)}`, precision: "float32" },
    tensors: liveTensors,
    details: {
      library: `TensorFlow.js ${library}`,
      instructions: build === "fma" ? "128-bit SIMD, fused multiply-add" : "128-bit SIMD",
      kernels: digest.slice(0, 16)
    }
  }
}
