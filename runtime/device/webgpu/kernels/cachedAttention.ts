import type { Heads } from "../../../tensor/causalAttention.ts"
import type { Program } from "../Backend.ts"
import { allocate, define, each, elements, grid, integers, main, using } from "./define.ts"
import { angles, rotate } from "./rotary.ts"

interface Attributes extends Heads {
  readonly slots: Int32Array
  readonly positions: Int32Array
}

/** Writes new keys, turned already, and values into the cache; `places` are rows of the cache. */
const APPEND: Program = {
  name: "CacheAppend",
  buffers: { k: "read f32", v: "read f32", places: "read i32", keys: "write f32", values: "write f32" },
  uniforms: { count: "u32", width: "u32" },
  code: each(`
  let to = u32(places[element / u.width]) * u.width + element % u.width;
  keys[to] = k[element];
  values[to] = v[element];`)
}

/** Threads of a workgroup, and cached positions that it takes at a time. */
const RUN = 64

/** One workgroup for one row and head; softmax as the runs of positions come, see `causalAttention`. */
const attend = (headDim: number): Program => ({
  name: `CachedAttention:${headDim}`,
  buffers: {
    q: "read f32",
    keys: "read f32",
    values: "read f32",
    places: "read i32",
    positions: "read i32",
    y: "write f32"
  },
  uniforms: { items: "u32", heads: "u32", keyValueHeads: "u32" },
  code: `
const DIM = ${headDim}u;
const PART = ${Math.ceil(headDim / RUN)}u;
const RUN = ${RUN}u;
var<workgroup> query: array<f32, DIM>;
var<workgroup> scores: array<f32, RUN>;
${main(
  `if (item >= u.items) { return; }
  let row = item / u.heads;
  let head = item % u.heads;
  let shared_head = head / (u.heads / u.keyValueHeads);
  let count = u32(positions[row]) + 1u;
  let first = u32(places[row]) + 1u - count;
  for (var d = lane; d < DIM; d += RUN) { query[d] = q[item * DIM + d]; }
  var mixed: array<f32, PART>;
  for (var c = 0u; c < PART; c++) { mixed[c] = 0.0; }
  var most = -3.0e38;
  var sum = 0.0;
  workgroupBarrier();
  for (var run = 0u; run < count; run += RUN) {
    let here = min(RUN, count - run);
    var score = -3.0e38;
    if (lane < here) {
      let at = ((first + run + lane) * u.keyValueHeads + shared_head) * DIM;
      score = 0.0;
      for (var d = 0u; d < DIM; d++) { score += query[d] * keys[at + d]; }
    }
    scores[lane] = score;
    workgroupBarrier();
    var next = most;
    for (var t = 0u; t < here; t++) { next = max(next, scores[t]); }
    workgroupBarrier();
    scores[lane] = exp(score - next);
    workgroupBarrier();
    let shrink = exp(most - next);
    most = next;
    sum *= shrink;
    for (var c = 0u; c < PART; c++) { mixed[c] *= shrink; }
    for (var t = 0u; t < here; t++) {
      sum += scores[t];
      let at = ((first + run + t) * u.keyValueHeads + shared_head) * DIM;
      for (var c = 0u; c < PART; c++) { mixed[c] += scores[t] * values[at + min(lane + c * RUN, DIM - 1u)]; }
    }
    workgroupBarrier();
  }
  for (var c = 0u; c < PART; c++) {
    let d = lane + c * RUN;
    if (d < DIM) { y[item * DIM + d] = mixed[c] / sum; }
  }`,
  RUN
)}`
})

define<Attributes>("CachedAttention", (backend, { k, keys, q, v, values }, attributes) => {
  const { headDim, heads, keyValueHeads, positions, slots } = attributes
  const rows = q!.shape[0]!
  const [slotCount, capacity, width] = keys!.shape as [number, number, number]
  const last = positions.reduce((highest, position) => Math.max(highest, position), 0)
  if (last >= capacity) throw new RangeError(`position ${last} is outside a cache of ${capacity} positions`)
  if (slots.some((slot) => !(slot >= 0 && slot < slotCount)))
    throw new RangeError(`a slot is outside ${slotCount} slots`)
  const table = angles(backend, attributes, last + 1)
  const y = allocate(backend, [rows, heads * headDim])
  const places = slots.map((slot, row) => slot * capacity + positions[row]!)
  const temporary = [integers(backend, positions), integers(backend, places)]
  return using(backend, temporary, (positions, places) =>
    using(
      backend,
      [
        rotate(backend, q!, positions!, table, headDim, { scale: 1 / Math.sqrt(headDim) }),
        rotate(backend, k!, positions!, table, headDim)
      ],
      (q, k) => {
        const count = rows * width
        const cache = { keys: keys!, values: values! }
        backend.dispatch(APPEND, { k: k!, v: v!, places: places!, ...cache }, { count, width }, elements(count))
        const items = rows * heads
        const tensors = { q: q!, ...cache, places: places!, positions: positions!, y }
        backend.dispatch(attend(headDim), tensors, { items, heads, keyValueHeads }, grid(items))
        return [y]
      }
    )
  )
})
