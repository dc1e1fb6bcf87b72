import type { Program } from "../Backend.ts"
import { allocate, define, grid, integers, main, REDUCE, THREADS, using } from "./define.ts"

interface Attributes {
  readonly targets: Int32Array
}

/** Keeps each row's largest logit and the logarithm of its sum of exponentials above that, apart: neither rounds the other. */
const FORWARD: Program = {
  name: "LogProbs",
  buffers: { logits: "read f32", tokens: "read i32", y: "write f32", norms: "write f32" },
  uniforms: { rows: "u32", width: "u32" },
  code: `${REDUCE}${main(`
  if (item >= u.rows) { return; }
  let start = item * u.width;
  var most = -3.4e38;
  for (var t = lane; t < u.width; t += ${THREADS}u) { most = max(most, logits[start + t]); }
  most = highest(lane, most);
  var sum = 0.0;
  for (var t = lane; t < u.width; t += ${THREADS}u) { sum += exp(logits[start + t] - most); }
  let rest = log(total(lane, sum));
  if (lane == 0u) {
    norms[2u * item] = most;
    norms[2u * item + 1u] = rest;
    y[item] = logits[start + u32(tokens[item])] - most - rest;
  }`)}`
}

define<Attributes>("LogProbs", (backend, { logits }, { targets }) => {
  const [rows, width] = logits!.shape as [number, number]
  const y = allocate(backend, [rows])
  const norms = allocate(backend, [rows, 2])
  return using(backend, [integers(backend, targets)], (tokens) => {
    backend.dispatch(FORWARD, { logits: logits!, tokens: tokens!, y, norms }, { rows, width }, grid(rows))
    return [y, norms]
  })
})

const BACKWARD: Program = {
  name: "LogProbsGradient",
  buffers: { logits: "read f32", tokens: "read i32", norms: "read f32", dy: "read f32", dx: "write f32" },
  uniforms: { rows: "u32", width: "u32" },
  code: main(`
  if (item >= u.rows) { return; }
  let start = item * u.width;
  let token = u32(tokens[item]);
  for (var t = lane; t < u.width; t += ${THREADS}u) {
    let p = exp(logits[start + t] - norms[2u * item] - norms[2u * item + 1u]);
    dx[start + t] = dy[item] * (select(0.0, 1.0, t == token) - p);
  }`)
}

define<Attributes>("LogProbsGradient", (backend, { dy, kept0, logits }, { targets }) => {
  const [rows, width] = logits!.shape as [number, number]
  const dx = allocate(backend, [rows, width])
  return using(backend, [integers(backend, targets)], (tokens) => {
    const tensors = { logits: logits!, tokens: tokens!, norms: kept0!, dy: dy!, dx }
    backend.dispatch(BACKWARD, tensors, { rows, width }, grid(rows))
    return [dx]
  })
})
