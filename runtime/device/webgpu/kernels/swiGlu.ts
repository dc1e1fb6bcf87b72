import * as tf from "@tensorflow/tfjs"
import type { Program } from "../Backend.ts"
import { allocate, define, each, elements } from "./define.ts"

/** The exponent is bounded, for WGSL does not promise what an overflow gives. */
const FORWARD: Program = {
  name: "SwiGlu",
  buffers: { gate: "read f32", up: "read f32", y: "write f32" },
  uniforms: { count: "u32" },
  code: each("y[element] = gate[element] / (1.0 + exp(min(-gate[element], 80.0))) * up[element];")
}

define("SwiGlu", (backend, { gate, up }) => {
  const y = allocate(backend, gate!.shape)
  const count = tf.util.sizeFromShape(gate!.shape)
  backend.dispatch(FORWARD, { gate: gate!, up: up!, y }, { count }, elements(count))
  return [y]
})

const BACKWARD: Program = {
  name: "SwiGluGradient",
  buffers: { gate: "read f32", up: "read f32", dy: "read f32", dGate: "write f32", dUp: "write f32" },
  uniforms: { count: "u32" },
  code: each(`
  let g = gate[element];
  let d = dy[element];
  let s = 1.0 / (1.0 + exp(min(-g, 80.0)));
  dGate[element] = d * up[element] * s * (1.0 + g * (1.0 - s));
  dUp[element] = d * g * s;`)
}

define("SwiGluGradient", (backend, { dy, gate, up }) => {
  const [dGate, dUp] = [allocate(backend, gate!.shape), allocate(backend, gate!.shape)]
  const count = tf.util.sizeFromShape(gate!.shape)
  backend.dispatch(BACKWARD, { gate: gate!, up: up!, dy: dy!, dGate, dUp }, { count }, elements(count))
  return [dGate, dUp]
})
