import type { Program } from "../Backend.ts"
import { allocate, define, each, elements, grid, main, REDUCE, THREADS, using } from "./define.ts"

const FORWARD: Program = {
  name: "RmsNorm",
  buffers: { x: "read f32", weight: "read f32", y: "write f32", scales: "write f32" },
  uniforms: { rows: "u32", width: "u32", epsilon: "f32" },
  code: `${REDUCE}${main(`
  if (item >= u.rows) { return; }
  let start = item * u.width;
  var squares = 0.0;
  for (var d = lane; d < u.width; d += ${THREADS}u) { squares += x[start + d] * x[start + d]; }
  let r = 1.0 / sqrt(total(lane, squares) / f32(u.width) + u.epsilon);
  if (lane == 0u) { scales[item] = r; }
  for (var d = lane; d < u.width; d += ${THREADS}u) { y[start + d] = x[start + d] * r * weight[d]; }`)}`
}

define<{ readonly epsilon: number }>("RmsNorm", (backend, { weight, x }, { epsilon }) => {
  const [rows, width] = x!.shape as [number, number]
  const y = allocate(backend, [rows, width])
  const scales = allocate(backend, [rows])
  backend.dispatch(FORWARD, { x: x!, weight: weight!, y, scales }, { rows, width, epsilon }, grid(rows))
  return [y, scales]
})

/** `dx = r (w dy - x r^2 mean(w dy x))`, with `r` the row's scale. */
const BACKWARD: Program = {
  name: "RmsNormGradient",
  buffers: { x: "read f32", weight: "read f32", scales: "read f32", dy: "read f32", dx: "write f32" },
  uniforms: { rows: "u32", width: "u32" },
  code: `${REDUCE}${main(`
  if (item >= u.rows) { return; }
  let start = item * u.width;
  let r = scales[item];
  var along = 0.0;
  for (var d = lane; d < u.width; d += ${THREADS}u) { along += weight[d] * dy[start + d] * x[start + d]; }
  let pull = total(lane, along) / f32(u.width) * r * r * r;
  for (var d = lane; d < u.width; d += ${THREADS}u) {
    dx[start + d] = r * weight[d] * dy[start + d] - pull * x[start + d];
  }`)}`
}

/** Rows that one thread sums before their sums are summed. */
const RUN = 32

/** `dw = sum over rows of dy x r`, first over runs of rows. */
const WEIGHT: Program = {
  name: "RmsNormWeightGradient",
  buffers: { x: "read f32", scales: "read f32", dy: "read f32", parts: "write f32" },
  uniforms: { count: "u32", rows: "u32", width: "u32" },
  code: each(`
  let d = element % u.width;
  let first = element / u.width * ${RUN}u;
  let end = min(u.rows, first + ${RUN}u);
  var sum = 0.0;
  for (var n = first; n < end; n++) { sum += dy[n * u.width + d] * x[n * u.width + d] * scales[n]; }
  parts[element] = sum;`)
}

const COLUMNS: Program = {
  name: "SumOfRows",
  buffers: { parts: "read f32", y: "write f32" },
  uniforms: { count: "u32", rows: "u32" },
  code: each(`
  var sum = 0.0;
  for (var n = 0u; n < u.rows; n++) { sum += parts[n * u.count + element]; }
  y[element] = sum;`)
}

define("RmsNormGradient", (backend, { dy, kept0, weight, x }) => {
  const [rows, width] = x!.shape as [number, number]
  const scales = kept0!
  const dx = allocate(backend, [rows, width])
  const dw = allocate(backend, [width])
  backend.dispatch(BACKWARD, { x: x!, weight: weight!, scales, dy: dy!, dx }, { rows, width }, grid(rows))
  const runs = Math.ceil(rows / RUN)
  const count = runs * width
  return using(backend, [allocate(backend, [runs, width])], (parts) => {
    backend.dispatch(WEIGHT, { x: x!, scales, dy: dy!, parts: parts! }, { count, rows, width }, elements(count))
    backend.dispatch(COLUMNS, { parts: parts!, y: dw }, { count: width, rows: runs }, elements(width))
    return [dx, dw]
  })
})
