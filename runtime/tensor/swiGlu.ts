import * as tf from "@tensorflow/tfjs"
import { call, define, differentiable } from "./kernel.ts"

/**
 * The gated activation `silu(gate) * up`, elementwise, where `silu(g) = g / (1 + exp(-g))`.
 * **Details** Both tensors and the result are `[N, I]`.
 * **Source** Shazeer 2020, arXiv 2002.05202, SwiGLU without its three matrices.
 */
export const swiGlu = (gate: tf.Tensor2D, up: tf.Tensor2D): tf.Tensor2D =>
  differentiable([gate, up], (gate, up) => {
    const sigmoid = tf.sigmoid(gate)
    return {
      value: call(FORWARD, { gate, up, sigmoid }, {})[0]!,
      saved: [gate, up, sigmoid],
      gradient: (dy, [gate, up, sigmoid]) => call(BACKWARD, { gate: gate!, up: up!, sigmoid: sigmoid!, dy }, {})
    }
  }) as tf.Tensor2D

const FORWARD = "PreflineSwiGlu"
const BACKWARD = "PreflineSwiGluGradient"

define(FORWARD, (storage, { gate, sigmoid, up }) => {
  const out = storage.allocate(gate!.shape)
  const gates = storage.floats(gate!)
  const ups = storage.floats(up!)
  const sigmoids = storage.floats(sigmoid!)
  const ys = storage.floats(out)
  for (let i = 0; i < ys.length; i++) ys[i] = gates[i]! * sigmoids[i]! * ups[i]!
  return [out]
})

define(BACKWARD, (storage, { dy, gate, sigmoid, up }) => {
  const dGate = storage.allocate(gate!.shape)
  const dUp = storage.allocate(gate!.shape)
  const gates = storage.floats(gate!)
  const ups = storage.floats(up!)
  const sigmoids = storage.floats(sigmoid!)
  const dys = storage.floats(dy!)
  const dGates = storage.floats(dGate)
  const dUps = storage.floats(dUp)
  for (let i = 0; i < dys.length; i++) {
    const g = gates[i]!
    const s = sigmoids[i]!
    const d = dys[i]!
    dGates[i] = d * ups[i]! * s * (1 + g * (1 - s))
    dUps[i] = d * g * s
  }
  return [dGate, dUp]
})
