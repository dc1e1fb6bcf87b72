// Attention with rotary positions: whole causal sequences with their gradient, and single queries over a cache.
//
// Causal: one sequence and head at a time. Queries go in blocks of 4 rows, keys in blocks of 8, so that a tile of 4 x 8
// numbers stays in registers; scratch is padded with zeros to whole tiles. A block's scores, later its weights, lie in 4
// rows of `blockWidth` numbers, one block behind the other: a lower triangle with steps, zero above the diagonal.
import { madd, sum } from "./lanes"
import { EXP, exp, firstOr, largest, loadFirst, prepareExp, storeFirst } from "./math"

/** Keys of the block that begins with query `row`: those up to the block's last query, in whole eights. */
@inline
function blockWidth(row: i32): i32 {
  return (row + 11) & ~7
}

@inline
function up4(count: i32): i32 {
  return (count + 3) & ~3
}

@inline
function up8(count: i32): i32 {
  return (count + 7) & ~7
}

/** Numbers in the stepped triangle of one head of a sequence. */
export function triangle(length: i32): i32 {
  const blocks = up4(length) >> 2
  const pairs = blocks >> 1
  return 32 * (pairs + (blocks & 1)) * (pairs + 1)
}

/** Bytes of working memory of `causalAttention`. */
export function causalScratch(longest: i32, headDim: i32): i32 {
  return EXP + (up4(longest) + 3 * up8(longest) + 4) * up8(headDim) * 4
}

/** Bytes of working memory of `causalAttentionGradient`. */
export function causalGradientScratch(longest: i32, headDim: i32): i32 {
  return ((2 * up4(longest) + 5 * up8(longest) + 4) * up8(headDim) + triangle(longest)) * 4
}

/**
 * Attention of every sequence; `kept` receives the weights, a stepped triangle per head per sequence.
 * **Details** `table` holds, per position, the cosines of all pairs and then their sines, each padded to fours.
 */
export function causalAttention(
  q: usize,
  k: usize,
  v: usize,
  out: usize,
  kept: usize,
  lengths: usize,
  sequences: i32,
  heads: i32,
  keyValueHeads: i32,
  headDim: i32,
  longest: i32,
  table: usize,
  scratch: usize
): void {
  const group = heads / keyValueHeads
  const wide = up8(headDim)
  const row = <usize>wide << 2
  const queryStride = <usize>(heads * headDim) << 2
  const keyStride = <usize>(keyValueHeads * headDim) << 2
  const scale = <f32>(1.0 / sqrt<f64>(<f64>headDim))
  const queries = scratch + EXP
  prepareExp(scratch)
  const keys = queries + <usize>up4(longest) * row
  const turnedKeys = keys + <usize>up8(longest) * row
  const values = turnedKeys + <usize>up8(longest) * row
  const mixed = values + <usize>up8(longest) * row
  for (let sequence = 0; sequence < sequences; sequence++) {
    const length = load<i32>(lengths + (<usize>sequence << 2))
    const columns = up8(length)
    for (let head = 0; head < heads; head++) {
      const column = <usize>(head * headDim) << 2
      if (head % group == 0) {
        const shared = <usize>((head / group) * headDim) << 2
        rotateRows(k + shared, keyStride, keys, length, columns, headDim, 1, table)
        transposeRows(keys, turnedKeys, columns, wide)
        copyRows(v + shared, keyStride, values, length, columns, headDim)
      }
      rotateRows(q + column, queryStride, queries, length, up4(length), headDim, scale, table)
      for (let i = 0; i < length; i += 4) {
        const width = blockWidth(i)
        const stride = <usize>width << 2
        for (let j = 0; j < width; j += 8)
          tile(queries + <usize>i * row, row, turnedKeys + (<usize>j << 2), <usize>columns << 2, kept + (<usize>j << 2), stride, headDim)
        const count = min(4, length - i)
        for (let r = 0; r < 4; r++) softmax(kept + <usize>r * stride, r < count ? i + r + 1 : 0, width, scratch)
        const seen = i + 4
        const to = out + <usize>i * queryStride + column
        if (count == 4 && wide == headDim) {
          for (let d: usize = 0; d < row; d += 32) tile(kept, stride, values + d, row, to + d, queryStride, seen)
        } else {
          for (let d: usize = 0; d < row; d += 32) tile(kept, stride, values + d, row, mixed + d, row, seen)
          for (let r = 0; r < count; r++) copyRow(mixed + <usize>r * row, to + <usize>r * queryStride, headDim)
        }
        kept += stride << 2
      }
    }
    q += <usize>length * queryStride
    k += <usize>length * keyStride
    v += <usize>length * keyStride
    out += <usize>length * queryStride
  }
}

/**
 * Gradients of q, k and v. With p a query's weights: dv_j = sum p_j dy, dp_j = dy . v_j, ds_j = p_j (dp_j - sum p dp),
 * dq = sum ds_j k_j and dk_j = sum ds_j q, all in turned coordinates, and the gradient of a turn is the turn back.
 */
export function causalAttentionGradient(
  q: usize,
  k: usize,
  v: usize,
  kept: usize,
  dy: usize,
  dq: usize,
  dk: usize,
  dv: usize,
  lengths: usize,
  sequences: i32,
  heads: i32,
  keyValueHeads: i32,
  headDim: i32,
  longest: i32,
  table: usize,
  scratch: usize
): void {
  const group = heads / keyValueHeads
  const wide = up8(headDim)
  const row = <usize>wide << 2
  const queryStride = <usize>(heads * headDim) << 2
  const keyStride = <usize>(keyValueHeads * headDim) << 2
  const scale = <f32>(1.0 / sqrt<f64>(<f64>headDim))
  const queries = scratch
  const slopes = queries + <usize>up4(longest) * row
  const keys = slopes + <usize>up4(longest) * row
  const values = keys + <usize>up8(longest) * row
  const turnedValues = values + <usize>up8(longest) * row
  const dKeys = turnedValues + <usize>up8(longest) * row
  const dValues = dKeys + <usize>up8(longest) * row
  const dQueries = dValues + <usize>up8(longest) * row
  const dScores = dQueries + 4 * row
  for (let sequence = 0; sequence < sequences; sequence++) {
    const length = load<i32>(lengths + (<usize>sequence << 2))
    const columns = up8(length)
    for (let head = 0; head < heads; head++) {
      const column = <usize>(head * headDim) << 2
      const shared = <usize>((head / group) * headDim) << 2
      if (head % group == 0) {
        rotateRows(k + shared, keyStride, keys, length, columns, headDim, 1, table)
        copyRows(v + shared, keyStride, values, length, columns, headDim)
        transposeRows(values, turnedValues, columns, wide)
      }
      rotateRows(q + column, queryStride, queries, length, up4(length), headDim, scale, table)
      copyRows(dy + column, queryStride, slopes, length, up4(length), headDim)
      let weights = kept
      let dBlock = dScores
      for (let i = 0; i < length; i += 4) {
        const width = blockWidth(i)
        const stride = <usize>width << 2
        for (let j = 0; j < width; j += 8)
          tile(slopes + <usize>i * row, row, turnedValues + (<usize>j << 2), <usize>columns << 2, dBlock + (<usize>j << 2), stride, headDim)
        for (let r: usize = 0; r < 4; r++) softmaxGradient(weights + r * stride, dBlock + r * stride, width)
        const seen = i + 4
        for (let d: usize = 0; d < row; d += 32) tile(dBlock, stride, keys + d, row, dQueries + d, row, seen)
        const count = min(4, length - i)
        for (let r = 0; r < count; r++)
          rotateBack(dQueries + <usize>r * row, dq + <usize>(i + r) * queryStride + column, headDim, scale, turn(table, i + r, headDim))
        weights += stride << 2
        dBlock += stride << 2
      }
      const further = head % group != 0
      let diagonal: usize = 0
      for (let j = 0; j < length; j += 4) {
        const from = diagonal + (<usize>j << 2)
        const at = <usize>j * row
        for (let d: usize = 0; d < row; d += 32) {
          turnedTile(kept + from, j, length, slopes + at + d, row, dValues + at + d, further)
          turnedTile(dScores + from, j, length, queries + at + d, row, dKeys + at + d, further)
        }
        diagonal += <usize>blockWidth(j) << 4
      }
      if (head % group == group - 1)
        for (let j = 0; j < length; j++) {
          const to = <usize>j * keyStride + shared
          rotateBack(dKeys + <usize>j * row, dk + to, headDim, 1, turn(table, j, headDim))
          copyRow(dValues + <usize>j * row, dv + to, headDim)
        }
      kept = weights
    }
    q += <usize>length * queryStride
    dy += <usize>length * queryStride
    dq += <usize>length * queryStride
    k += <usize>length * keyStride
    v += <usize>length * keyStride
    dk += <usize>length * keyStride
    dv += <usize>length * keyStride
  }
}

/** c[4][8] = a[4][count] b[count][8], `count` even; rows lie their strides apart. Terms are added in order. */
function tile(a: usize, aStride: usize, b: usize, bStride: usize, c: usize, cStride: usize, count: i32): void {
  const a1 = a + aStride
  const a2 = a1 + aStride
  const a3 = a2 + aStride
  let c00 = f32x4.splat(0)
  let c01 = f32x4.splat(0)
  let c10 = f32x4.splat(0)
  let c11 = f32x4.splat(0)
  let c20 = f32x4.splat(0)
  let c21 = f32x4.splat(0)
  let c30 = f32x4.splat(0)
  let c31 = f32x4.splat(0)
  const end = <usize>count << 2
  for (let i: usize = 0; i < end; i += 8) {
    let b0 = v128.load(b)
    let b1 = v128.load(b, 16)
    b += bStride
    let x = v128.load_splat<f32>(a + i)
    c00 = madd(x, b0, c00)
    c01 = madd(x, b1, c01)
    x = v128.load_splat<f32>(a1 + i)
    c10 = madd(x, b0, c10)
    c11 = madd(x, b1, c11)
    x = v128.load_splat<f32>(a2 + i)
    c20 = madd(x, b0, c20)
    c21 = madd(x, b1, c21)
    x = v128.load_splat<f32>(a3 + i)
    c30 = madd(x, b0, c30)
    c31 = madd(x, b1, c31)
    b0 = v128.load(b)
    b1 = v128.load(b, 16)
    b += bStride
    x = v128.load_splat<f32>(a + i, 4)
    c00 = madd(x, b0, c00)
    c01 = madd(x, b1, c01)
    x = v128.load_splat<f32>(a1 + i, 4)
    c10 = madd(x, b0, c10)
    c11 = madd(x, b1, c11)
    x = v128.load_splat<f32>(a2 + i, 4)
    c20 = madd(x, b0, c20)
    c21 = madd(x, b1, c21)
    x = v128.load_splat<f32>(a3 + i, 4)
    c30 = madd(x, b0, c30)
    c31 = madd(x, b1, c31)
  }
  v128.store(c, c00)
  v128.store(c, c01, 16)
  v128.store(c + cStride, c10)
  v128.store(c + cStride, c11, 16)
  v128.store(c + 2 * cStride, c20)
  v128.store(c + 2 * cStride, c21, 16)
  v128.store(c + 3 * cStride, c30)
  v128.store(c + 3 * cStride, c31, 16)
}

/**
 * c[4][8] = sum over queries from `first` to `length` of a[query][4]^T b[query][8], plus c if `further`. `a` points into a
 * stepped triangle, at column `first` of the block that begins with query `first`; rows of b and c lie `stride` apart.
 */
function turnedTile(a: usize, first: i32, length: i32, b: usize, stride: usize, c: usize, further: bool): void {
  let c00 = f32x4.splat(0)
  let c01 = f32x4.splat(0)
  let c10 = f32x4.splat(0)
  let c11 = f32x4.splat(0)
  let c20 = f32x4.splat(0)
  let c21 = f32x4.splat(0)
  let c30 = f32x4.splat(0)
  let c31 = f32x4.splat(0)
  if (further) {
    c00 = v128.load(c)
    c01 = v128.load(c, 16)
    c10 = v128.load(c + stride)
    c11 = v128.load(c + stride, 16)
    c20 = v128.load(c + 2 * stride)
    c21 = v128.load(c + 2 * stride, 16)
    c30 = v128.load(c + 3 * stride)
    c31 = v128.load(c + 3 * stride, 16)
  }
  for (let i = first; i < length; i += 4) {
    const width = <usize>blockWidth(i) << 2
    const end = a + (width << 2)
    for (; a < end; a += width, b += stride) {
      const b0 = v128.load(b)
      const b1 = v128.load(b, 16)
      let x = v128.load_splat<f32>(a)
      c00 = madd(x, b0, c00)
      c01 = madd(x, b1, c01)
      x = v128.load_splat<f32>(a, 4)
      c10 = madd(x, b0, c10)
      c11 = madd(x, b1, c11)
      x = v128.load_splat<f32>(a, 8)
      c20 = madd(x, b0, c20)
      c21 = madd(x, b1, c21)
      x = v128.load_splat<f32>(a, 12)
      c30 = madd(x, b0, c30)
      c31 = madd(x, b1, c31)
    }
  }
  v128.store(c, c00)
  v128.store(c, c01, 16)
  v128.store(c + stride, c10)
  v128.store(c + stride, c11, 16)
  v128.store(c + 2 * stride, c20)
  v128.store(c + 2 * stride, c21, 16)
  v128.store(c + 3 * stride, c30)
  v128.store(c + 3 * stride, c31, 16)
}

/** Softmax in place of the first `count` of `width` numbers, zeros behind; `width` is a multiple of four. */
function softmax(x: usize, count: i32, width: i32, constants: usize): void {
  const end = x + (<usize>width << 2)
  const total = exponentials(x, count, constants)
  const factor = f32x4.splat(1 / total)
  let at = x
  for (const last = x + (<usize>up4(count) << 2); at < last; at += 16) v128.store(at, f32x4.mul(v128.load(at), factor))
  for (; at < end; at += 16) v128.store(at, f32x4.splat(0))
}

/** exp(x - largest) in place of the first `count` numbers, zeros behind up to a multiple of four; returns their sum. */
@inline
function exponentials(x: usize, count: i32, constants: usize): f32 {
  const whole = x + (<usize>(count & ~3) << 2)
  const whole8 = x + (<usize>(count & ~7) << 2)
  const rest = count & 3
  let high = f32x4.splat(-Infinity)
  let at = x
  for (; at < whole; at += 16) high = f32x4.pmax(high, v128.load(at))
  if (rest) high = f32x4.pmax(high, firstOr(v128.load(at), high, rest))
  const highest = f32x4.splat(largest(high))
  let total = f32x4.splat(0)
  for (at = x; at < whole8; at += 32) {
    const weight = exp(f32x4.sub(v128.load(at), highest), constants)
    const next = exp(f32x4.sub(v128.load(at, 16), highest), constants)
    v128.store(at, weight)
    v128.store(at, next, 16)
    total = f32x4.add(total, f32x4.add(weight, next))
  }
  if (at < whole) {
    const weight = exp(f32x4.sub(v128.load(at), highest), constants)
    v128.store(at, weight)
    total = f32x4.add(total, weight)
    at += 16
  }
  if (rest) {
    const weight = firstOr(exp(f32x4.sub(v128.load(at), highest), constants), f32x4.splat(0), rest)
    v128.store(at, weight)
    total = f32x4.add(total, weight)
  }
  return sum(total)
}

/** slopes = weights (slopes - sum of weights slopes); `width` is a multiple of eight. */
function softmaxGradient(weights: usize, slopes: usize, width: i32): void {
  const end = <usize>width << 2
  let even = f32x4.splat(0)
  let odd = f32x4.splat(0)
  for (let i: usize = 0; i < end; i += 32) {
    even = madd(v128.load(weights + i), v128.load(slopes + i), even)
    odd = madd(v128.load(weights + i, 16), v128.load(slopes + i, 16), odd)
  }
  const mean = f32x4.splat(sum(f32x4.add(even, odd)))
  for (let i: usize = 0; i < end; i += 16)
    v128.store(slopes + i, f32x4.mul(v128.load(weights + i), f32x4.sub(v128.load(slopes + i), mean)))
}

/** The rotary table's row of a position. */
@inline
function turn(table: usize, position: i32, headDim: i32): usize {
  return table + (<usize>(position * 2 * up4(headDim >> 1)) << 2)
}

/**
 * Turns a vector of `headDim` by the angles at `angles`, times `scale`. Its halves are the two coordinates:
 * [x1 cos - x2 sin, x2 cos + x1 sin].
 */
@inline
function rotate(x: usize, out: usize, headDim: i32, scale: f32, angles: usize): void {
  const pairs = headDim >> 1
  const half = <usize>pairs << 2
  const whole = <usize>(pairs & ~3) << 2
  const rest = pairs & 3
  const sines = angles + (<usize>up4(pairs) << 2)
  const scales = f32x4.splat(scale)
  for (let i: usize = 0; i < whole; i += 16) {
    const x1 = f32x4.mul(v128.load(x + i), scales)
    const x2 = f32x4.mul(v128.load(x + half + i), scales)
    const cos = v128.load(angles + i)
    const sin = v128.load(sines + i)
    v128.store(out + i, f32x4.sub(f32x4.mul(x1, cos), f32x4.mul(x2, sin)))
    v128.store(out + half + i, f32x4.add(f32x4.mul(x2, cos), f32x4.mul(x1, sin)))
  }
  if (rest) {
    const x1 = f32x4.mul(loadFirst(x + whole, rest), scales)
    const x2 = f32x4.mul(loadFirst(x + half + whole, rest), scales)
    const cos = v128.load(angles + whole)
    const sin = v128.load(sines + whole)
    storeFirst(out + whole, f32x4.sub(f32x4.mul(x1, cos), f32x4.mul(x2, sin)), rest)
    storeFirst(out + half + whole, f32x4.add(f32x4.mul(x2, cos), f32x4.mul(x1, sin)), rest)
  }
}

/** Undoes `rotate`, which is also its gradient, times `scale`. */
@inline
function rotateBack(x: usize, out: usize, headDim: i32, scale: f32, angles: usize): void {
  const pairs = headDim >> 1
  const half = <usize>pairs << 2
  const whole = <usize>(pairs & ~3) << 2
  const rest = pairs & 3
  const sines = angles + (<usize>up4(pairs) << 2)
  const scales = f32x4.splat(scale)
  for (let i: usize = 0; i < whole; i += 16) {
    const x1 = f32x4.mul(v128.load(x + i), scales)
    const x2 = f32x4.mul(v128.load(x + half + i), scales)
    const cos = v128.load(angles + i)
    const sin = v128.load(sines + i)
    v128.store(out + i, f32x4.add(f32x4.mul(x1, cos), f32x4.mul(x2, sin)))
    v128.store(out + half + i, f32x4.sub(f32x4.mul(x2, cos), f32x4.mul(x1, sin)))
  }
  if (rest) {
    const x1 = f32x4.mul(loadFirst(x + whole, rest), scales)
    const x2 = f32x4.mul(loadFirst(x + half + whole, rest), scales)
    const cos = v128.load(angles + whole)
    const sin = v128.load(sines + whole)
    storeFirst(out + whole, f32x4.add(f32x4.mul(x1, cos), f32x4.mul(x2, sin)), rest)
    storeFirst(out + half + whole, f32x4.sub(f32x4.mul(x2, cos), f32x4.mul(x1, sin)), rest)
  }
}

/** Turned vectors of positions 0 to `length`, as rows padded with zeros, and rows of zeros up to `height`. */
function rotateRows(
  x: usize,
  stride: usize,
  out: usize,
  length: i32,
  height: i32,
  headDim: i32,
  scale: f32,
  table: usize
): void {
  const row = <usize>up8(headDim) << 2
  for (let position = 0; position < length; position++, x += stride, out += row) {
    clearEnd(out, headDim)
    rotate(x, out, headDim, scale, turn(table, position, headDim))
  }
  memory.fill(out, 0, <usize>(height - length) * row)
}

/** Vectors as rows padded with zeros, and rows of zeros up to `height`. */
function copyRows(x: usize, stride: usize, out: usize, length: i32, height: i32, headDim: i32): void {
  const row = <usize>up8(headDim) << 2
  for (let position = 0; position < length; position++, x += stride, out += row) {
    clearEnd(out, headDim)
    copyRow(x, out, headDim)
  }
  memory.fill(out, 0, <usize>(height - length) * row)
}

/** Zeros in the last eight numbers of a padded row, if it has padding. */
@inline
function clearEnd(row: usize, headDim: i32): void {
  if (headDim & 7) {
    const at = row + (<usize>(headDim & ~7) << 2)
    v128.store(at, f32x4.splat(0))
    v128.store(at, f32x4.splat(0), 16)
  }
}

@inline
function copyRow(x: usize, out: usize, count: i32): void {
  const whole = <usize>(count & ~3) << 2
  for (let i: usize = 0; i < whole; i += 16) v128.store(out + i, v128.load(x + i))
  if (count & 3) storeFirst(out + whole, loadFirst(x + whole, count & 3), count & 3)
}

/** out[column][row] = x[row][column], rows and columns in whole fours. */
function transposeRows(x: usize, out: usize, rows: i32, columns: i32): void {
  const wide = <usize>columns << 2
  const high = <usize>rows << 2
  for (let row = 0; row < rows; row += 4, x += 4 * wide, out += 16) {
    let to = out
    for (let i: usize = 0; i < wide; i += 16, to += 4 * high) {
      const a = v128.load(x + i)
      const b = v128.load(x + wide + i)
      const c = v128.load(x + 2 * wide + i)
      const d = v128.load(x + 3 * wide + i)
      const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5)
      const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5)
      const ab2 = v128.shuffle<f32>(a, b, 2, 6, 3, 7)
      const cd2 = v128.shuffle<f32>(c, d, 2, 6, 3, 7)
      v128.store(to, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5))
      v128.store(to + high, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7))
      v128.store(to + 2 * high, v128.shuffle<f32>(ab2, cd2, 0, 1, 4, 5))
      v128.store(to + 3 * high, v128.shuffle<f32>(ab2, cd2, 2, 3, 6, 7))
    }
  }
}

/** Bytes of working memory of `cachedAttention` up to a highest position. */
export function cachedScratch(last: i32, headDim: i32): i32 {
  return EXP + (up4(headDim) + up4(last + 1)) * 4
}

/**
 * Writes each row's turned key and its value to the cache, then attends from its query over its slot's positions so far.
 * Caches are [slots, capacity, keyValueHeads * headDim].
 */
export function cachedAttention(
  q: usize,
  k: usize,
  v: usize,
  keys: usize,
  values: usize,
  out: usize,
  slots: usize,
  positions: usize,
  rows: i32,
  capacity: i32,
  heads: i32,
  keyValueHeads: i32,
  headDim: i32,
  table: usize,
  scratch: usize
): void {
  const group = heads / keyValueHeads
  const size = <usize>headDim << 2
  const stride = <usize>keyValueHeads * size
  const scale = <f32>(1.0 / sqrt<f64>(<f64>headDim))
  const query = scratch + EXP
  prepareExp(scratch)
  const scores = query + (<usize>up4(headDim) << 2)
  if (headDim & 3) v128.store(query + (<usize>(headDim & ~3) << 2), f32x4.splat(0))
  for (let row = 0; row < rows; row++) {
    const position = load<i32>(positions + (<usize>row << 2))
    const angles = turn(table, position, headDim)
    const base = <usize>load<i32>(slots + (<usize>row << 2)) * <usize>capacity * stride
    const to = base + <usize>position * stride
    for (let head = 0; head < keyValueHeads; head++, k += size) rotate(k, keys + to + <usize>head * size, headDim, 1, angles)
    copyRow(v, values + to, keyValueHeads * headDim)
    v += stride
    for (let head = 0; head < heads; head++, q += size, out += size) {
      const from = base + <usize>(head / group) * size
      rotate(q, query, headDim, scale, angles)
      products(query, keys + from, stride, position + 1, headDim, scores)
      const total = exponentials(scores, position + 1, scratch)
      mix(scores, values + from, stride, position + 1, headDim, 1 / total, out)
    }
  }
}

/** Inner products of a vector, padded with zeros to fours, with `count` vectors that lie `stride` apart: four at a time. */
function products(x: usize, rows: usize, stride: usize, count: i32, headDim: i32, out: usize): void {
  const whole = <usize>(headDim & ~3) << 2
  const last = rows + <usize>(count - 1) * stride
  for (let j = 0; j < count; j += 4, out += 16) {
    // Beyond the last vector the last one stands in; nobody looks at those products.
    const r1 = min(rows + stride, last)
    const r2 = min(r1 + stride, last)
    const r3 = min(r2 + stride, last)
    let a = f32x4.splat(0)
    let b = f32x4.splat(0)
    let c = f32x4.splat(0)
    let d = f32x4.splat(0)
    for (let i: usize = 0; i < whole; i += 16) {
      const four = v128.load(x + i)
      a = madd(four, v128.load(rows + i), a)
      b = madd(four, v128.load(r1 + i), b)
      c = madd(four, v128.load(r2 + i), c)
      d = madd(four, v128.load(r3 + i), d)
    }
    if (headDim & 3) {
      const two = v128.load(x + whole)
      a = madd(two, v128.load_zero<f64>(rows + whole), a)
      b = madd(two, v128.load_zero<f64>(r1 + whole), b)
      c = madd(two, v128.load_zero<f64>(r2 + whole), c)
      d = madd(two, v128.load_zero<f64>(r3 + whole), d)
    }
    const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7))
    const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7))
    v128.store(out, f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7)))
    rows = r3 + stride
  }
}

/** out = factor * sum of weights times vectors, sixteen coordinates at a time, even and odd vectors in sums of their own. */
function mix(weights: usize, rows: usize, stride: usize, count: i32, headDim: i32, factor: f32, out: usize): void {
  const factors = f32x4.splat(factor)
  const pairs = count & ~1
  const endOfPairs = weights + (<usize>pairs << 2)
  let d = 0
  for (; d + 16 <= headDim; d += 16, rows += 64, out += 64) {
    let a = f32x4.splat(0)
    let b = f32x4.splat(0)
    let c = f32x4.splat(0)
    let e = f32x4.splat(0)
    let a2 = f32x4.splat(0)
    let b2 = f32x4.splat(0)
    let c2 = f32x4.splat(0)
    let e2 = f32x4.splat(0)
    let row = rows
    let weight = weights
    for (; weight < endOfPairs; weight += 8) {
      let x = v128.load_splat<f32>(weight)
      a = madd(x, v128.load(row), a)
      b = madd(x, v128.load(row, 16), b)
      c = madd(x, v128.load(row, 32), c)
      e = madd(x, v128.load(row, 48), e)
      row += stride
      x = v128.load_splat<f32>(weight, 4)
      a2 = madd(x, v128.load(row), a2)
      b2 = madd(x, v128.load(row, 16), b2)
      c2 = madd(x, v128.load(row, 32), c2)
      e2 = madd(x, v128.load(row, 48), e2)
      row += stride
    }
    if (count & 1) {
      const x = v128.load_splat<f32>(weight)
      a = madd(x, v128.load(row), a)
      b = madd(x, v128.load(row, 16), b)
      c = madd(x, v128.load(row, 32), c)
      e = madd(x, v128.load(row, 48), e)
    }
    v128.store(out, f32x4.mul(f32x4.add(a, a2), factors))
    v128.store(out, f32x4.mul(f32x4.add(b, b2), factors), 16)
    v128.store(out, f32x4.mul(f32x4.add(c, c2), factors), 32)
    v128.store(out, f32x4.mul(f32x4.add(e, e2), factors), 48)
  }
  for (; d + 4 <= headDim; d += 4, rows += 16, out += 16) {
    let a = f32x4.splat(0)
    let row = rows
    for (let j = 0; j < count; j++, row += stride)
      a = madd(v128.load_splat<f32>(weights + (<usize>j << 2)), v128.load(row), a)
    v128.store(out, f32x4.mul(a, factors))
  }
  if (d < headDim) {
    let a = f32x4.splat(0)
    let row = rows
    for (let j = 0; j < count; j++, row += stride)
      a = madd(v128.load_splat<f32>(weights + (<usize>j << 2)), v128.load_zero<f64>(row), a)
    v128.store_lane<f64>(out, f32x4.mul(a, factors), 0)
  }
}
