import type * as tf from "@tensorflow/tfjs"
import type { Heads } from "../../../tensor/causalAttention.ts"
import { rotaryTable } from "../../../tensor/rotary.ts"
import type { Backend, Program } from "../Backend.ts"
import { allocate, each, elements } from "./define.ts"

/** Cosine and sine, one after the other, for each position below a power of two and each pair of coordinates. */
export const angles = (backend: Backend, { headDim, ropeTheta }: Heads, positions: number): tf.TensorInfo => {
  const capacity = Math.max(64, 2 ** Math.ceil(Math.log2(Math.max(1, positions))))
  return backend.constant(`rotary:${headDim}:${ropeTheta}:${capacity}`, () => {
    const { cos, sin } = rotaryTable(headDim, ropeTheta, capacity)
    const count = (capacity * headDim) / 2
    const values = new Float32Array(2 * count)
    for (let i = 0; i < count; i++) values.set([cos[i]!, sin[i]!], 2 * i)
    return backend.makeTensorInfo([2 * count], "float32", values)
  })
}

/** Turns each head of each row by the row's position, times a scale; `direction` -1 turns back, which is the gradient. */
const ROTATE: Program = {
  name: "Rotate",
  buffers: { x: "read f32", positions: "read i32", angles: "read f32", y: "write f32" },
  uniforms: { count: "u32", pairs: "u32", headsPerRow: "u32", scale: "f32", direction: "f32" },
  code: each(`
  let pair = element % u.pairs;
  let head = element / u.pairs;
  let at = head * 2u * u.pairs + pair;
  let angle = 2u * (u32(positions[head / u.headsPerRow]) * u.pairs + pair);
  let c = angles[angle];
  let s = u.direction * angles[angle + 1u];
  let x1 = x[at] * u.scale;
  let x2 = x[at + u.pairs] * u.scale;
  y[at] = x1 * c - x2 * s;
  y[at + u.pairs] = x2 * c + x1 * s;`)
}

/** `x` `[rows, heads * headDim]` turned into a new tensor, or into `y`. */
export const rotate = (
  backend: Backend,
  x: tf.TensorInfo,
  positions: tf.TensorInfo,
  table: tf.TensorInfo,
  headDim: number,
  { direction = 1, scale = 1, y = allocate(backend, x.shape) }: Turn = {}
): tf.TensorInfo => {
  const [rows, width] = x.shape as [number, number]
  const pairs = headDim / 2
  const count = rows * (width / 2)
  const uniforms = { count, pairs, headsPerRow: width / headDim, scale, direction }
  backend.dispatch(ROTATE, { x, positions, angles: table, y }, uniforms, elements(count))
  return y
}

interface Turn {
  readonly direction?: 1 | -1
  readonly scale?: number
  readonly y?: tf.TensorInfo
}
