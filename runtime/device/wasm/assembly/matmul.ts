// Matrix product in tiles of 6 rows and 8 columns: 12 accumulators, 2 registers of the right side and one of the left fill
// the 15 vector registers that engines use on x64.
//
// Every element of a product is summed in the order of the inner axis, from zero, through `madd`, whichever path it takes:
// blocks of the inner axis go on from the sum that the block before stored. So a row of a product has the same bits
// whatever the other rows are, how many they are, and in whichever layout the matrices lie.

import { transpose } from "./layout"
import { madd, madd1 } from "./lanes"

const TILE = 6
const PANEL = 8
/** Inner axis at a time: a packed panel of the right side is 16 KiB and stays in the first-level cache. */
const DEPTH = 512
/** Rows at a time, a multiple of `TILE`: their part of the left side stays in the second-level cache. */
const ROWS = 192
/** With at most so many rows the right side is read where it lies: packing it would cost more than it saves. */
const FEW = 12

/** Bytes of working memory that `matmul` wants. */
export function matmulScratch(rows: i32, columns: i32, depth: i32): usize {
  const kept = <usize>min(depth, DEPTH)
  const panels = <usize>((columns + PANEL - 1) / PANEL)
  const left = <usize>((min(rows, ROWS) + TILE - 1) / TILE) * TILE
  return EDGE + ((panels * PANEL * kept + left * kept) << 2)
}

/** One tile, for the columns that do not fill a panel. */
const EDGE: usize = TILE * PANEL * 4

/**
 * `out = op(a) op(b)`, [rows, depth] times [depth, columns]; with `transposeA` the left side is stored as [depth, rows], with
 * `transposeB` the right side as [columns, depth]. `stepA`, `stepB`, `stepOut`: elements from one stored row to the next.
 */
export function matmul(
  a: usize, b: usize, out: usize,
  rows: i32, columns: i32, depth: i32,
  stepA: i32, stepB: i32, stepOut: i32,
  transposeA: i32, transposeB: i32, accumulate: i32, scratch: usize
): void {
  if (depth == 0 && accumulate) return
  if (depth == 0) {
    for (let row = 0; row < rows; row++) memory.fill(out + ((<usize>row * stepOut) << 2), 0, <usize>columns << 2)
    return
  }
  if (rows == 1 && !accumulate) {
    const apart = <usize>(transposeA ? stepA : 1) << 2
    if (transposeB) rowByColumns(a, apart, b, out, columns, depth, <usize>stepB << 2)
    else rowByRows(a, apart, b, out, columns, depth, <usize>stepB << 2)
    return
  }
  const whole = columns & ~(PANEL - 1)
  const inPlace = !transposeB && rows <= FEW
  const edge = scratch
  const right = scratch + EDGE
  for (let k = 0; k < depth; k += DEPTH) {
    const kept = min(DEPTH, depth - k)
    const fresh = k == 0 && !accumulate
    const panelBytes = <usize>kept * PANEL * 4
    const left = right + <usize>((columns + PANEL - 1) / PANEL) * panelBytes
    const source = b + ((transposeB ? <usize>k : <usize>k * stepB) << 2)
    if (transposeB) packColumns(source, right, columns, kept, stepB)
    else packRows(source, right, inPlace ? whole : 0, columns, kept, stepB)
    for (let row = 0; row < rows; row += ROWS) {
      const held = min(ROWS, rows - row)
      let from = a + ((transposeA ? <usize>k * stepA + row : <usize>row * stepA + k) << 2)
      const stepLeft = <usize>(transposeA ? kept : stepA) << 2
      if (transposeA) {
        transpose(from, left, kept, held, stepA, kept)
        from = left
      }
      for (let column = 0; column < columns; column += PANEL) {
        const direct = inPlace && column < whole
        const panel = direct ? source + (<usize>column << 2) : right + <usize>(column / PANEL) * panelBytes
        const step = direct ? <usize>stepB << 2 : PANEL * 4
        const to = out + ((<usize>row * stepOut + column) << 2)
        const width = min(PANEL, columns - column)
        for (let i = 0; i < held; i += TILE) {
          const high = min(TILE, held - i)
          const at = from + <usize>i * stepLeft
          const target = to + ((<usize>i * stepOut) << 2)
          const apart = <usize>stepOut << 2
          if (width == PANEL) {
            tile(high, at, stepLeft, panel, step, kept, target, apart, fresh)
          } else {
            if (!fresh) copyTile(target, apart, edge, PANEL * 4, high, width)
            tile(high, at, stepLeft, panel, step, kept, edge, PANEL * 4, fresh)
            copyTile(edge, PANEL * 4, target, apart, high, width)
          }
        }
      }
    }
  }
}

/**
 * Panels of 8 columns, one row after the other, from `first` on; the last is filled up with zeros. Four panels at once, so that
 * whole lines of a row are read where rows lie a multiple of the cache's size apart.
 */
function packRows(from: usize, to: usize, first: i32, columns: i32, depth: i32, step: i32): void {
  const apart = <usize>step << 2
  const panel = <usize>depth * PANEL * 4
  let column = first
  for (; column + 4 * PANEL <= columns; column += 4 * PANEL) {
    let source = from + (<usize>column << 2)
    let target = to + (<usize>column * depth << 2)
    const end = target + panel
    for (; target < end; target += PANEL * 4) {
      v128.store(target, v128.load(source))
      v128.store(target, v128.load(source, 16), 16)
      v128.store(target + panel, v128.load(source, 32))
      v128.store(target + panel, v128.load(source, 48), 16)
      v128.store(target + 2 * panel, v128.load(source, 64))
      v128.store(target + 2 * panel, v128.load(source, 80), 16)
      v128.store(target + 3 * panel, v128.load(source, 96))
      v128.store(target + 3 * panel, v128.load(source, 112), 16)
      source += apart
    }
  }
  for (; column < columns; column += PANEL) {
    let source = from + (<usize>column << 2)
    let target = to + (<usize>column * depth << 2)
    const end = target + panel
    const width = columns - column
    if (width >= PANEL) {
      for (; target < end; target += PANEL * 4) {
        v128.store(target, v128.load(source))
        v128.store(target, v128.load(source, 16), 16)
        source += apart
      }
    } else {
      for (; target < end; target += PANEL * 4) {
        for (let i = 0; i < PANEL; i++) {
          store<f32>(target + (<usize>i << 2), i < width ? load<f32>(source + (<usize>i << 2)) : 0)
        }
        source += apart
      }
    }
  }
}

/** The same panels from a matrix whose columns are stored as rows. */
function packColumns(from: usize, to: usize, columns: i32, depth: i32, step: i32): void {
  const apart = <usize>step << 2
  const depth4 = depth & ~3
  for (let column = 0; column < columns; column += 4) {
    const source = from + <usize>column * apart
    const target = to + ((<usize>(column & ~(PANEL - 1)) * depth + (column & (PANEL - 1))) << 2)
    const width = columns - column
    if (width >= 4) {
      let at = source
      let put = target
      for (let k = 0; k < depth4; k += 4) {
        const x = v128.load(at)
        const y = v128.load(at + apart)
        const z = v128.load(at + 2 * apart)
        const w = v128.load(at + 3 * apart)
        const xy = v128.shuffle<f32>(x, y, 0, 4, 1, 5)
        const zw = v128.shuffle<f32>(z, w, 0, 4, 1, 5)
        const xy2 = v128.shuffle<f32>(x, y, 2, 6, 3, 7)
        const zw2 = v128.shuffle<f32>(z, w, 2, 6, 3, 7)
        v128.store(put, v128.shuffle<f32>(xy, zw, 0, 1, 4, 5))
        v128.store(put, v128.shuffle<f32>(xy, zw, 2, 3, 6, 7), PANEL * 4)
        v128.store(put, v128.shuffle<f32>(xy2, zw2, 0, 1, 4, 5), PANEL * 8)
        v128.store(put, v128.shuffle<f32>(xy2, zw2, 2, 3, 6, 7), PANEL * 12)
        at += 16
        put += PANEL * 16
      }
    }
    for (let k = width >= 4 ? depth4 : 0; k < depth; k++) {
      for (let i = 0; i < 4; i++) {
        const value: f32 = i < width ? load<f32>(source + <usize>i * apart + (<usize>k << 2)) : 0
        store<f32>(target + ((<usize>k * PANEL + i) << 2), value)
      }
    }
  }
  if ((columns & 7) == 0 || (columns & 7) > 4) return
  // The last panel has at most four columns: its second half.
  const target = to + ((<usize>(columns & ~(PANEL - 1)) * depth + 4) << 2)
  for (let k = 0; k < depth; k++) v128.store(target + ((<usize>k * PANEL) << 2), f32x4.splat(0))
}

function copyTile(from: usize, stepFrom: usize, to: usize, stepTo: usize, rows: i32, columns: i32): void {
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      store<f32>(to + (<usize>column << 2), load<f32>(from + (<usize>column << 2)))
    }
    from += stepFrom
    to += stepTo
  }
}

/** `rows` x 8 of the product; rows of the left side lie `stepA` bytes apart. */
function tile(
  rows: i32, a: usize, stepA: usize, b: usize, stepB: usize, depth: i32, out: usize, stepOut: usize, fresh: bool
): void {
  switch (rows) {
    case 1: return tileOf(1, a, stepA, b, stepB, depth, out, stepOut, fresh)
    case 2: return tileOf(2, a, stepA, b, stepB, depth, out, stepOut, fresh)
    case 3: return tileOf(3, a, stepA, b, stepB, depth, out, stepOut, fresh)
    case 4: return tileOf(4, a, stepA, b, stepB, depth, out, stepOut, fresh)
    case 5: return tileOf(5, a, stepA, b, stepB, depth, out, stepOut, fresh)
    default: return tileOf(6, a, stepA, b, stepB, depth, out, stepOut, fresh)
  }
}

/** `rows` is a constant at every call, so that nothing is left of the conditions on it. */
@inline
function tileOf(
  rows: i32, a: usize, stepA: usize, b: usize, stepB: usize, depth: i32, out: usize, stepOut: usize, fresh: bool
): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00
  let c30 = c00, c31 = c00, c40 = c00, c41 = c00, c50 = c00, c51 = c00
  const out1 = out + stepOut
  const out2 = out1 + stepOut
  const out3 = out2 + stepOut
  const out4 = out3 + stepOut
  const out5 = out4 + stepOut
  if (!fresh) {
    c00 = v128.load(out); c01 = v128.load(out, 16)
    if (rows > 1) { c10 = v128.load(out1); c11 = v128.load(out1, 16) }
    if (rows > 2) { c20 = v128.load(out2); c21 = v128.load(out2, 16) }
    if (rows > 3) { c30 = v128.load(out3); c31 = v128.load(out3, 16) }
    if (rows > 4) { c40 = v128.load(out4); c41 = v128.load(out4, 16) }
    if (rows > 5) { c50 = v128.load(out5); c51 = v128.load(out5, 16) }
  }
  const end = b + <usize>depth * stepB
  let a1 = a + stepA, a2 = a1 + stepA, a3 = a2 + stepA, a4 = a3 + stepA, a5 = a4 + stepA
  while (b < end) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    let x = v128.load_splat<f32>(a)
    c00 = madd(x, b0, c00); c01 = madd(x, b1, c01)
    if (rows > 1) { x = v128.load_splat<f32>(a1); c10 = madd(x, b0, c10); c11 = madd(x, b1, c11); a1 += 4 }
    if (rows > 2) { x = v128.load_splat<f32>(a2); c20 = madd(x, b0, c20); c21 = madd(x, b1, c21); a2 += 4 }
    if (rows > 3) { x = v128.load_splat<f32>(a3); c30 = madd(x, b0, c30); c31 = madd(x, b1, c31); a3 += 4 }
    if (rows > 4) { x = v128.load_splat<f32>(a4); c40 = madd(x, b0, c40); c41 = madd(x, b1, c41); a4 += 4 }
    if (rows > 5) { x = v128.load_splat<f32>(a5); c50 = madd(x, b0, c50); c51 = madd(x, b1, c51); a5 += 4 }
    a += 4
    b += stepB
  }
  v128.store(out, c00); v128.store(out, c01, 16)
  if (rows > 1) { v128.store(out1, c10); v128.store(out1, c11, 16) }
  if (rows > 2) { v128.store(out2, c20); v128.store(out2, c21, 16) }
  if (rows > 3) { v128.store(out3, c30); v128.store(out3, c31, 16) }
  if (rows > 4) { v128.store(out4, c40); v128.store(out4, c41, 16) }
  if (rows > 5) { v128.store(out5, c50); v128.store(out5, c51, 16) }
}

/** One row, its elements `stepA` bytes apart, times a matrix: 32 columns at a time, to keep enough sums in flight. */
function rowByRows(a: usize, stepA: usize, b: usize, out: usize, columns: i32, depth: i32, stepB: usize): void {
  let column = 0
  for (; column + 32 <= columns; column += 32) {
    let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0
    let left = a
    let right = b + (<usize>column << 2)
    for (let k = 0; k < depth; k++) {
      const x = v128.load_splat<f32>(left)
      c0 = madd(x, v128.load(right), c0)
      c1 = madd(x, v128.load(right, 16), c1)
      c2 = madd(x, v128.load(right, 32), c2)
      c3 = madd(x, v128.load(right, 48), c3)
      c4 = madd(x, v128.load(right, 64), c4)
      c5 = madd(x, v128.load(right, 80), c5)
      c6 = madd(x, v128.load(right, 96), c6)
      c7 = madd(x, v128.load(right, 112), c7)
      left += stepA
      right += stepB
    }
    const to = out + (<usize>column << 2)
    v128.store(to, c0); v128.store(to, c1, 16); v128.store(to, c2, 32); v128.store(to, c3, 48)
    v128.store(to, c4, 64); v128.store(to, c5, 80); v128.store(to, c6, 96); v128.store(to, c7, 112)
  }
  for (; column + 4 <= columns; column += 4) {
    let c = f32x4.splat(0)
    let left = a
    let right = b + (<usize>column << 2)
    for (let k = 0; k < depth; k++) {
      c = madd(v128.load_splat<f32>(left), v128.load(right), c)
      left += stepA
      right += stepB
    }
    v128.store(out + (<usize>column << 2), c)
  }
  for (; column < columns; column++) {
    store<f32>(out + (<usize>column << 2), dot(a, stepA, b + (<usize>column << 2), stepB, depth))
  }
}

/** One row times the transpose of a matrix, whose rows are turned in registers, 16 at a time. */
function rowByColumns(a: usize, stepA: usize, b: usize, out: usize, columns: i32, depth: i32, stepB: usize): void {
  let column = 0
  for (; column + 16 <= columns; column += 16) {
    let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0
    let left = a
    let right = b + <usize>column * stepB
    let k = 0
    for (; k + 4 <= depth; k += 4) {
      const x0 = v128.load_splat<f32>(left)
      const x1 = v128.load_splat<f32>(left + stepA)
      const x2 = v128.load_splat<f32>(left + 2 * stepA)
      const x3 = v128.load_splat<f32>(left + 3 * stepA)
      c0 = addTurned(c0, right, stepB, x0, x1, x2, x3)
      c1 = addTurned(c1, right + 4 * stepB, stepB, x0, x1, x2, x3)
      c2 = addTurned(c2, right + 8 * stepB, stepB, x0, x1, x2, x3)
      c3 = addTurned(c3, right + 12 * stepB, stepB, x0, x1, x2, x3)
      left += 4 * stepA
      right += 16
    }
    for (; k < depth; k++) {
      const x = v128.load_splat<f32>(left)
      c0 = madd(x, fourRows(right, stepB), c0)
      c1 = madd(x, fourRows(right + 4 * stepB, stepB), c1)
      c2 = madd(x, fourRows(right + 8 * stepB, stepB), c2)
      c3 = madd(x, fourRows(right + 12 * stepB, stepB), c3)
      left += stepA
      right += 4
    }
    const to = out + (<usize>column << 2)
    v128.store(to, c0); v128.store(to, c1, 16); v128.store(to, c2, 32); v128.store(to, c3, 48)
  }
  for (; column < columns; column++) {
    store<f32>(out + (<usize>column << 2), dot(a, stepA, b + <usize>column * stepB, 4, depth))
  }
}

/** Adds the products of `x0` to `x3` with the columns of the 4 x 4 block at `b`, in order. */
@inline
function addTurned(c: v128, b: usize, stepB: usize, x0: v128, x1: v128, x2: v128, x3: v128): v128 {
  const p = v128.load(b)
  const q = v128.load(b + stepB)
  const r = v128.load(b + 2 * stepB)
  const s = v128.load(b + 3 * stepB)
  const pq = v128.shuffle<f32>(p, q, 0, 4, 1, 5)
  const rs = v128.shuffle<f32>(r, s, 0, 4, 1, 5)
  const pq2 = v128.shuffle<f32>(p, q, 2, 6, 3, 7)
  const rs2 = v128.shuffle<f32>(r, s, 2, 6, 3, 7)
  c = madd(x0, v128.shuffle<f32>(pq, rs, 0, 1, 4, 5), c)
  c = madd(x1, v128.shuffle<f32>(pq, rs, 2, 3, 6, 7), c)
  c = madd(x2, v128.shuffle<f32>(pq2, rs2, 0, 1, 4, 5), c)
  return madd(x3, v128.shuffle<f32>(pq2, rs2, 2, 3, 6, 7), c)
}

@inline
function fourRows(b: usize, stepB: usize): v128 {
  let x = v128.load_zero<f32>(b)
  x = v128.load_lane<f32>(b + stepB, x, 1)
  x = v128.load_lane<f32>(b + 2 * stepB, x, 2)
  return v128.load_lane<f32>(b + 3 * stepB, x, 3)
}

@inline
function dot(a: usize, stepA: usize, b: usize, stepB: usize, depth: i32): f32 {
  let c: f32 = 0
  for (let k = 0; k < depth; k++) {
    c = madd1(load<f32>(a), load<f32>(b), c)
    a += stepA
    b += stepB
  }
  return c
}
