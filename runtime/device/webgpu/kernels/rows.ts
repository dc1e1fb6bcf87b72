import type { Program } from "../Backend.ts"
import { allocate, define, each, elements, integers, using } from "./define.ts"

const GATHER: Program = {
  name: "GatherRows",
  buffers: { x: "read f32", rows: "read i32", y: "write f32" },
  uniforms: { count: "u32", width: "u32" },
  code: each(`
  let row = element / u.width;
  y[element] = x[u32(rows[row]) * u.width + element % u.width];`)
}

define<{ readonly rows: Int32Array }>("GatherRows", (backend, { x }, { rows }) => {
  const [height, width] = x!.shape as [number, number]
  check(rows, height)
  const y = allocate(backend, [rows.length, width])
  const count = rows.length * width
  if (count === 0) return [y]
  return using(backend, [integers(backend, rows)], (rows) => {
    backend.dispatch(GATHER, { x: x!, rows: rows!, y }, { count, width }, elements(count))
    return [y]
  })
})

/** `segments` holds, for each row that gets anything, its number and where its sources begin and end in `order`. */
const SCATTER: Program = {
  name: "ScatterRows",
  buffers: { x: "read f32", segments: "read i32", order: "read i32", y: "write f32" },
  uniforms: { count: "u32", width: "u32" },
  code: each(`
  let segment = 3u * (element / u.width);
  let column = element % u.width;
  let last = segments[segment + 2u];
  var sum = 0.0;
  for (var i = segments[segment + 1u]; i < last; i++) { sum += x[u32(order[i]) * u.width + column]; }
  y[u32(segments[segment]) * u.width + column] = sum;`)
}

define<{ readonly rows: Int32Array; readonly count: number }>(
  "ScatterRows",
  (backend, { x }, { count: height, rows }) => {
    const width = x!.shape[1]!
    check(rows, height)
    const y = allocate(backend, [height, width])
    if (height * width === 0) return [y]
    backend.clear(y)
    if (rows.length === 0) return [y]
    const { order, segments } = segmented(rows)
    const count = (segments.length / 3) * width
    return using(backend, [integers(backend, segments), integers(backend, order)], (segments, order) => {
      backend.dispatch(SCATTER, { x: x!, segments: segments!, order: order!, y }, { count, width }, elements(count))
      return [y]
    })
  }
)

const check = (rows: Int32Array, height: number) => {
  for (const row of rows)
    if (!(row >= 0 && row < height)) throw new RangeError(`row ${row} is outside a matrix of ${height} rows`)
}

/** Sources by the row that they go to, in their own order within a row: sums are made in the same order every time. */
const segmented = (rows: Int32Array): { readonly order: Int32Array; readonly segments: Int32Array } => {
  const sources = new Map<number, Array<number>>()
  rows.forEach((row, source) => {
    const known = sources.get(row)
    if (known) known.push(source)
    else sources.set(row, [source])
  })
  const order = new Int32Array(rows.length)
  const segments = new Int32Array(3 * sources.size)
  let filled = 0
  let segment = 0
  for (const [row, list] of sources) {
    order.set(list, filled)
    segments.set([row, filled, filled + list.length], segment)
    filled += list.length
    segment += 3
  }
  return { order, segments }
}
