// Rows of elements, found by integer ids.

/** Adds row `i` of `x` to row `ids[i]` of `out`, in order; ids outside the segments are dropped. float32. */
export function segmentSum(x: usize, ids: usize, out: usize, rows: i32, width: i32, segments: i32): void {
  const bytes = <usize>width << 2
  const whole = <usize>(width & ~3) << 2
  memory.fill(out, 0, <usize>segments * bytes)
  for (let row = 0; row < rows; row++) {
    const segment = load<i32>(ids + (<usize>row << 2))
    if (<u32>segment < <u32>segments) {
      const to = out + <usize>segment * bytes
      let at: usize = 0
      for (; at < whole; at += 16) v128.store(to + at, f32x4.add(v128.load(to + at), v128.load(x + at)))
      for (; at < bytes; at += 4) store<f32>(to + at, load<f32>(to + at) + load<f32>(x + at))
    }
    x += bytes
  }
}

/** The same for int32. */
export function segmentSumInts(x: usize, ids: usize, out: usize, rows: i32, width: i32, segments: i32): void {
  const bytes = <usize>width << 2
  memory.fill(out, 0, <usize>segments * bytes)
  for (let row = 0; row < rows; row++) {
    const segment = load<i32>(ids + (<usize>row << 2))
    if (<u32>segment < <u32>segments) {
      const to = out + <usize>segment * bytes
      for (let at: usize = 0; at < bytes; at += 4) store<i32>(to + at, load<i32>(to + at) + load<i32>(x + at))
    }
    x += bytes
  }
}

/**
 * `out[batch, outer, i] = x[batch, outer, ids[batch, i]]`, runs of `width` elements of four bytes.
 * Gives -1, or the place in `ids` of the first one outside the axis of `size`.
 */
export function gather(
  x: usize, ids: usize, out: usize, batches: i32, outer: i32, size: i32, perBatch: i32, width: i32
): i32 {
  const bytes = <usize>width << 2
  for (let batch = 0; batch < batches; batch++) {
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < perBatch; i++) {
        const place = batch * perBatch + i
        const id = load<i32>(ids + (<usize>place << 2))
        if (<u32>id >= <u32>size) return place
        const from = x + <usize>id * bytes
        if (width == 1) store<i32>(out, load<i32>(from))
        else memory.copy(out, from, bytes)
        out += bytes
      }
      x += <usize>size * bytes
    }
  }
  return -1
}
