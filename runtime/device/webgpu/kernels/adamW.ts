import * as tf from "@tensorflow/tfjs"
import type { UpdateRule } from "../../../tensor/AdamW.ts"
import type { Program } from "../Backend.ts"
import { allocate, define, each, elements, grid, main, REDUCE, THREADS, using } from "./define.ts"

const UPDATE: Program = {
  name: "AdamW",
  buffers: { parameter: "write f32", first: "write f32", second: "write f32", gradient: "read f32" },
  uniforms: {
    count: "u32",
    scale: "f32",
    beta1: "f32",
    rest1: "f32",
    beta2: "f32",
    rest2: "f32",
    epsilon: "f32",
    size: "f32",
    correction: "f32",
    keep: "f32"
  },
  code: each(`
  let g = gradient[element] * u.scale;
  let m = u.beta1 * first[element] + u.rest1 * g;
  let v = u.beta2 * second[element] + u.rest2 * g * g;
  first[element] = m;
  second[element] = v;
  parameter[element] = u.keep * parameter[element] - u.size * m / (sqrt(v) * u.correction + u.epsilon);`)
}

define<UpdateRule>("AdamW", (backend, { first, gradient, parameter, second }, rule) => {
  const count = tf.util.sizeFromShape(parameter!.shape)
  if (count === 0) return []
  backend.dispatch(
    UPDATE,
    { parameter: parameter!, first: first!, second: second!, gradient: gradient! },
    // The small differences are taken in float64: 1 - 0.999 has three digits left in float32.
    { ...rule, count, rest1: 1 - rule.beta1, rest2: 1 - rule.beta2 },
    elements(count)
  )
  return []
})

/** Each workgroup sums a share, its threads runs of sixteen at a time, so that rounding grows with the depth of the sums. */
const SQUARES: Program = {
  name: "SumOfSquares",
  buffers: { x: "read f32", sums: "write f32" },
  uniforms: { count: "u32", share: "u32" },
  code: `${REDUCE}${main(`
  let end = min(u.count, (item + 1u) * u.share);
  var sum = 0.0;
  for (var run = item * u.share + lane; run < end; run += ${16 * THREADS}u) {
    var part = 0.0;
    for (var i = 0u; i < 16u; i++) {
      let at = run + i * ${THREADS}u;
      if (at < end) { part += x[at] * x[at]; }
    }
    sum += part;
  }
  let all = total(lane, sum);
  if (lane == 0u) { sums[item] = all; }`)}`
}

const SUM: Program = {
  name: "Sum",
  buffers: { parts: "read f32", sum: "write f32" },
  uniforms: { count: "u32" },
  code: `${REDUCE}${main(`
  let all = total(lane, select(0.0, parts[min(lane, u.count - 1u)], lane < u.count));
  if (lane == 0u) { sum[0] = all; }`)}`
}

define("SumOfSquares", (backend, { x }) => {
  const count = tf.util.sizeFromShape(x!.shape)
  const sum = allocate(backend, [])
  if (count === 0) {
    backend.clear(sum)
    return [sum]
  }
  const groups = Math.min(THREADS, Math.ceil(count / (16 * THREADS)))
  const share = Math.ceil(count / groups)
  return using(backend, [allocate(backend, [groups])], (parts) => {
    backend.dispatch(SQUARES, { x: x!, sums: parts! }, { count, share }, grid(groups))
    backend.dispatch(SUM, { parts: parts!, sum }, { count: groups }, [1])
    return [sum]
  })
})
