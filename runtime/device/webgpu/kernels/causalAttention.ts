import type * as tf from "@tensorflow/tfjs"
import type { Heads } from "../../../tensor/causalAttention.ts"
import type { Backend, Program } from "../Backend.ts"
import { allocate, define, each, elements, grid, type Inputs, integers, main, using } from "./define.ts"
import { angles, rotate } from "./rotary.ts"

interface Attributes extends Heads {
  readonly lengths: Int32Array
}

/**
 * Attention in square tiles of `tile` queries by `tile` keys, one workgroup for a block of rows and a head. A thread stands
 * for one query and one key while scores are computed, and for one row and every `tile`-th coordinate while vectors are
 * mixed. Softmax is taken as the tiles come (Milakov and Gimelshein 2018, arXiv 1805.02867; Dao et al. 2022, arXiv
 * 2205.14135), so no matrix of scores is ever stored. Everything is summed in a fixed order.
 */
const prelude = (headDim: number, tile: number) => `
const TILE = ${tile}u;
const DIM = ${headDim}u;
const PART = ${Math.ceil(headDim / tile)}u;
const THREADS = ${tile * tile}u;
struct Block { first: u32, count: u32, start: u32, end: u32 };
fn blockOf(number: u32) -> Block {
  let at = 4u * number;
  return Block(u32(blocks[at]), u32(blocks[at + 1u]), u32(blocks[at + 2u]), u32(blocks[at + 3u]));
}`

/** Loads the rows `first ..` below `end` of one head of each source into its tile, zeros behind. */
const load = (
  sources: Readonly<Record<string, string>>,
  [first, end]: readonly [first: string, end: string],
  [heads, head]: readonly [heads: string, head: string]
) => `
for (var e = lane; e < TILE * DIM; e += THREADS) {
  let row = ${first} + e / DIM;
  let inside = row < ${end};
  let at = select(0u, (row * ${heads} + ${head}) * DIM + e % DIM, inside);
  ${Object.entries(sources)
    .map(([tile, source]) => `${tile}[e] = select(0.0, ${source}[at], inside);`)
    .join("\n  ")}
}`

const QUERY_HEAD = ["u.heads", "head"] as const
const KEY_HEAD = ["u.keyValueHeads", "shared_head"] as const
const BLOCK = ["block.first", "last"] as const

/** Keeps each row's largest score and its sum of exponentials above that. */
const forward = (headDim: number, tile: number): Program => ({
  name: `CausalAttention:${headDim}:${tile}`,
  buffers: {
    q: "read f32",
    k: "read f32",
    v: "read f32",
    blocks: "read i32",
    y: "write f32",
    norms: "write f32"
  },
  uniforms: { items: "u32", heads: "u32", keyValueHeads: "u32" },
  code: `${prelude(headDim, tile)}
var<workgroup> queries: array<f32, TILE * DIM>;
var<workgroup> vectors: array<f32, TILE * DIM>;
var<workgroup> scores: array<f32, TILE * TILE>;
${main(
  `if (item >= u.items) { return; }
  let block = blockOf(item / u.heads);
  let head = item % u.heads;
  let shared_head = head / (u.heads / u.keyValueHeads);
  let i = lane / TILE;
  let j = lane % TILE;
  let row = block.first + i;
  let last = block.first + block.count;
  ${load({ queries: "q" }, BLOCK, QUERY_HEAD)}
  var mixed: array<f32, PART>;
  for (var c = 0u; c < PART; c++) { mixed[c] = 0.0; }
  var most = -3.0e38;
  var sum = 0.0;
  for (var first = block.start; first < last; first += TILE) {
    ${load({ vectors: "k" }, ["first", "last"], KEY_HEAD)}
    workgroupBarrier();
    let visible = first + j <= row && row < last;
    var score = 0.0;
    for (var d = 0u; d < DIM; d++) { score += queries[i * DIM + d] * vectors[j * DIM + d]; }
    scores[lane] = select(-3.0e38, score, visible);
    workgroupBarrier();
    var next = most;
    for (var t = 0u; t < TILE; t++) { next = max(next, scores[i * TILE + t]); }
    ${load({ vectors: "v" }, ["first", "last"], KEY_HEAD)}
    workgroupBarrier();
    scores[lane] = select(0.0, exp(score - next), visible);
    workgroupBarrier();
    let shrink = exp(most - next);
    most = next;
    sum *= shrink;
    for (var c = 0u; c < PART; c++) { mixed[c] *= shrink; }
    for (var t = 0u; t < TILE; t++) {
      let weight = scores[i * TILE + t];
      sum += weight;
      for (var c = 0u; c < PART; c++) {
        mixed[c] += weight * vectors[t * DIM + min(j + c * TILE, DIM - 1u)];
      }
    }
    workgroupBarrier();
  }
  if (row < last) {
    let at = row * u.heads + head;
    if (j == 0u) {
      norms[2u * at] = most;
      norms[2u * at + 1u] = sum;
    }
    for (var c = 0u; c < PART; c++) {
      let d = j + c * TILE;
      if (d < DIM) { y[at * DIM + d] = mixed[c] / sum; }
    }
  }`,
  tile * tile
)}`
})

/** `sum over d of dy y`, for each row and head: what the softmax's gradient subtracts. */
const DELTA: Program = {
  name: "CausalAttentionDelta",
  buffers: { y: "read f32", dy: "read f32", delta: "write f32" },
  uniforms: { count: "u32", headDim: "u32" },
  code: each(`
  var sum = 0.0;
  for (var d = 0u; d < u.headDim; d++) { sum += dy[element * u.headDim + d] * y[element * u.headDim + d]; }
  delta[element] = sum;`)
}

/** The weight `p` of key `j` for query `i`, and the gradient of its score, `p (dy . v - delta)`. */
const WEIGHT = `
var score = 0.0;
var slope = 0.0;
for (var d = 0u; d < DIM; d++) {
  score += queries[i * DIM + d] * keys[j * DIM + d];
  slope += slopes[i * DIM + d] * values[j * DIM + d];
}
var weight = 0.0;
var gradient = 0.0;
if (visible) {
  let at = query * u.heads + head;
  weight = exp(score - norms[2u * at]) / norms[2u * at + 1u];
  gradient = weight * (slope - delta[at]);
}`

const TILES = `
var<workgroup> queries: array<f32, TILE * DIM>;
var<workgroup> slopes: array<f32, TILE * DIM>;
var<workgroup> keys: array<f32, TILE * DIM>;
var<workgroup> values: array<f32, TILE * DIM>;
var<workgroup> gradients: array<f32, TILE * TILE>;`

const READ = {
  q: "read f32",
  k: "read f32",
  v: "read f32",
  dy: "read f32",
  norms: "read f32",
  delta: "read f32",
  blocks: "read i32"
} as const

/** `dq_i = sum over keys of gradient k_j`: a block of queries goes through its keys. */
const queryGradient = (headDim: number, tile: number): Program => ({
  name: `CausalAttentionQueryGradient:${headDim}:${tile}`,
  buffers: { ...READ, dq: "write f32" },
  uniforms: { items: "u32", heads: "u32", keyValueHeads: "u32" },
  code: `${prelude(headDim, tile)}${TILES}
${main(
  `if (item >= u.items) { return; }
  let block = blockOf(item / u.heads);
  let head = item % u.heads;
  let shared_head = head / (u.heads / u.keyValueHeads);
  let i = lane / TILE;
  let j = lane % TILE;
  let query = block.first + i;
  let last = block.first + block.count;
  ${load({ queries: "q", slopes: "dy" }, BLOCK, QUERY_HEAD)}
  var sums: array<f32, PART>;
  for (var c = 0u; c < PART; c++) { sums[c] = 0.0; }
  for (var first = block.start; first < last; first += TILE) {
    ${load({ keys: "k", values: "v" }, ["first", "last"], KEY_HEAD)}
    workgroupBarrier();
    let visible = first + j <= query && query < last;
    ${WEIGHT}
    gradients[lane] = gradient;
    workgroupBarrier();
    for (var t = 0u; t < TILE; t++) {
      for (var c = 0u; c < PART; c++) {
        sums[c] += gradients[i * TILE + t] * keys[t * DIM + min(j + c * TILE, DIM - 1u)];
      }
    }
    workgroupBarrier();
  }
  if (query < last) {
    for (var c = 0u; c < PART; c++) {
      let d = j + c * TILE;
      if (d < DIM) { dq[(query * u.heads + head) * DIM + d] = sums[c]; }
    }
  }`,
  tile * tile
)}`
})

/** `dk_j = sum over queries of gradient q_i` and `dv_j = sum of weight dy_i`: a block of keys goes through its queries. */
const keyGradient = (headDim: number, tile: number): Program => ({
  name: `CausalAttentionKeyGradient:${headDim}:${tile}`,
  buffers: { ...READ, dk: "write f32", dv: "write f32" },
  uniforms: { items: "u32", heads: "u32", keyValueHeads: "u32" },
  code: `${prelude(headDim, tile)}${TILES}
var<workgroup> weights: array<f32, TILE * TILE>;
${main(
  `if (item >= u.items) { return; }
  let block = blockOf(item / u.keyValueHeads);
  let shared_head = item % u.keyValueHeads;
  let i = lane / TILE;
  let j = lane % TILE;
  let last = block.first + block.count;
  ${load({ keys: "k", values: "v" }, BLOCK, KEY_HEAD)}
  var keySums: array<f32, PART>;
  var valueSums: array<f32, PART>;
  for (var c = 0u; c < PART; c++) {
    keySums[c] = 0.0;
    valueSums[c] = 0.0;
  }
  let serves = u.heads / u.keyValueHeads;
  let tiles = (block.end - block.first + TILE - 1u) / TILE;
  for (var step = 0u; step < serves * tiles; step++) {
    let head = shared_head * serves + step / tiles;
    let first = block.first + step % tiles * TILE;
    ${load({ queries: "q", slopes: "dy" }, ["first", "block.end"], QUERY_HEAD)}
    workgroupBarrier();
    let query = first + i;
    let key = block.first + j;
    let visible = key <= query && query < block.end && key < last;
    ${WEIGHT}
    gradients[lane] = gradient;
    weights[lane] = weight;
    workgroupBarrier();
    for (var t = 0u; t < TILE; t++) {
      for (var c = 0u; c < PART; c++) {
        let d = min(j + c * TILE, DIM - 1u);
        keySums[c] += gradients[t * TILE + i] * queries[t * DIM + d];
        valueSums[c] += weights[t * TILE + i] * slopes[t * DIM + d];
      }
    }
    workgroupBarrier();
  }
  let row = block.first + i;
  if (row < last) {
    for (var c = 0u; c < PART; c++) {
      let d = j + c * TILE;
      let at = (row * u.keyValueHeads + shared_head) * DIM + d;
      if (d < DIM) {
        dk[at] = keySums[c];
        dv[at] = valueSums[c];
      }
    }
  }`,
  tile * tile
)}`
})

/** The largest tile whose four blocks of vectors and two of scores fit into a workgroup's memory. */
const tileOf = (backend: Backend, headDim: number): number => {
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize } = backend.device.limits
  const tile = [16, 8, 4].find(
    (tile) =>
      4 * (4 * tile * headDim + 2 * tile * tile) <= maxComputeWorkgroupStorageSize &&
      tile * tile <= maxComputeInvocationsPerWorkgroup
  )
  if (tile === undefined) throw new RangeError(`heads of ${headDim} coordinates do not fit into this GPU's workgroups`)
  return tile
}

/** Positions of the rows, and blocks of at most `tile` rows: first row, rows, the sequence's first row and its end. */
const layoutOf = (lengths: Int32Array, tile: number) => {
  const rows = lengths.reduce((sum, length) => sum + length, 0)
  const positions = new Int32Array(rows)
  const blocks: Array<number> = []
  let start = 0
  for (const length of lengths) {
    for (let i = 0; i < length; i++) positions[start + i] = i
    for (let i = 0; i < length; i += tile) blocks.push(start + i, Math.min(tile, length - i), start, start + length)
    start += length
  }
  return { rows, positions, blocks: Int32Array.from(blocks), longest: Math.max(1, ...lengths) }
}

const checkedLayout = (rows: number, { headDim, heads, keyValueHeads, lengths }: Attributes, tile: number) => {
  const layout = layoutOf(lengths, tile)
  if (layout.rows !== rows) throw new RangeError(`sequence lengths sum to ${layout.rows}, but there are ${rows} rows`)
  if (heads % keyValueHeads !== 0 || headDim % 2 !== 0)
    throw new RangeError(`${heads} heads of ${headDim} do not fit ${keyValueHeads} key-value heads`)
  return layout
}

/** Runs with the blocks, the positions, and queries and keys turned; the queries scaled. */
const prepared = <A>(
  backend: Backend,
  { k, q }: Inputs,
  attributes: Attributes,
  run: (context: {
    readonly q: tf.TensorInfo
    readonly k: tf.TensorInfo
    readonly positions: tf.TensorInfo
    readonly blocks: tf.TensorInfo
    readonly table: tf.TensorInfo
    readonly tile: number
    readonly blockCount: number
    readonly scale: number
  }) => A
): A => {
  const { headDim } = attributes
  const tile = tileOf(backend, headDim)
  const layout = checkedLayout(q!.shape[0]!, attributes, tile)
  const table = angles(backend, attributes, layout.longest)
  const scale = 1 / Math.sqrt(headDim)
  const indices = [integers(backend, layout.positions), integers(backend, layout.blocks)]
  return using(backend, indices, (positions, blocks) => {
    const turned = [
      rotate(backend, q!, positions!, table, headDim, { scale }),
      rotate(backend, k!, positions!, table, headDim)
    ]
    return using(backend, turned, (q, k) =>
      run({
        q: q!,
        k: k!,
        positions: positions!,
        blocks: blocks!,
        table,
        tile,
        blockCount: layout.blocks.length / 4,
        scale
      })
    )
  })
}

define<Attributes>("CausalAttention", (backend, inputs, attributes) => {
  const { headDim, heads, keyValueHeads } = attributes
  const rows = inputs["q"]!.shape[0]!
  return prepared(backend, inputs, attributes, ({ blockCount, blocks, k, q, tile }) => {
    const y = allocate(backend, [rows, heads * headDim])
    const norms = allocate(backend, [rows, heads, 2])
    const items = blockCount * heads
    const tensors = { q, k, v: inputs["v"]!, blocks, y, norms }
    backend.dispatch(forward(headDim, tile), tensors, { items, heads, keyValueHeads }, grid(items))
    backend.incRef(y.dataId) // the value is kept too, under the same data
    return [y, norms, { ...y }]
  })
})

define<Attributes>("CausalAttentionGradient", (backend, inputs, attributes) => {
  const { dy, kept0, kept1, v } = inputs as Readonly<Record<"dy" | "kept0" | "kept1" | "v", tf.TensorInfo>>
  const { headDim, heads, keyValueHeads } = attributes
  const rows = v.shape[0]!
  return prepared(backend, inputs, attributes, ({ blockCount, blocks, k, positions, q, scale, table, tile }) => {
    const [queryShape, keyShape] = [inputs["q"]!.shape, v.shape]
    const temporary = [allocate(backend, [rows, heads]), allocate(backend, queryShape), allocate(backend, keyShape)]
    return using(backend, temporary, (delta, dq, dk) => {
      const dv = allocate(backend, keyShape)
      const count = rows * heads
      backend.dispatch(DELTA, { y: kept1, dy, delta: delta! }, { count, headDim }, elements(count))
      const read = { q, k, v, dy, norms: kept0, delta: delta!, blocks }
      const items = blockCount * heads
      const ofQueries = queryGradient(headDim, tile)
      backend.dispatch(ofQueries, { ...read, dq: dq! }, { items, heads, keyValueHeads }, grid(items))
      const keyItems = blockCount * keyValueHeads
      const ofKeys = keyGradient(headDim, tile)
      const uniforms = { items: keyItems, heads, keyValueHeads }
      backend.dispatch(ofKeys, { ...read, dk: dk!, dv }, uniforms, grid(keyItems))
      return [
        rotate(backend, dq!, positions, table, headDim, { direction: -1, scale }),
        rotate(backend, dk!, positions, table, headDim, { direction: -1 }),
        dv
      ]
    })
  })
})
