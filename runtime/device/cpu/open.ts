/** The reference device: the library's plain JavaScript backend, with fused operations in float64 arithmetic. Slow. */
import * as tf from "@tensorflow/tfjs"
import { liveTensors, makeCurrent } from "../current.ts"
import type { Opened } from "../Opened.ts"
import "./adamW.ts"
import "./cachedAttention.ts"
import "./causalAttention.ts"
import "./logProbs.ts"
import "./rmsNorm.ts"
import "./rows.ts"
import "./swiGlu.ts"

export const open = async (): Promise<Opened> => {
  await makeCurrent("cpu")
  Object.assign(tf.engine().backend, { firstUse: false }) // on its first use it advertises tfjs-node
  return {
    numerics: { backend: "cpu", kernels: `tfjs-${tf.version["tfjs-core"]} js`, precision: "float32" },
    tensors: liveTensors,
    details: { library: `TensorFlow.js ${tf.version["tfjs-core"]}`, arithmetic: "JavaScript, one thread" }
  }
}
