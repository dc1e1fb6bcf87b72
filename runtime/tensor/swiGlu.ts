import * as tf from "@tensorflow/tfjs"
import { operation } from "./operations.ts"

/**
 * The gated activation `silu(gate) * up`, elementwise, where `silu(g) = g / (1 + exp(-g))`.
 * **Details** Both tensors and the result are `[N, I]`.
 * **Source** Shazeer 2020, arXiv 2002.05202, SwiGLU without its three matrices.
 */
export const swiGlu = (gate: tf.Tensor2D, up: tf.Tensor2D): tf.Tensor2D => SwiGlu({ gate, up }, {}) as tf.Tensor2D

export const SwiGlu = operation({
  name: "SwiGlu",
  inputs: ["gate", "up"],
  composed: ({ gate, up }) => tf.mul(tf.mul(gate, tf.sigmoid(gate)), up)
})
