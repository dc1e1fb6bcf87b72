// Moving elements of four bytes: float32 and int32 alike.

/**
 * Permutes the axes of `x`: sizes `n*` of the result from outside to inside, and for each axis the step in elements from one
 * index to the next in `x` (`x*`) and in `out` (`o*`). Axes that are not needed have the size 1.
 * The steps `x4` and `o5` must be 1 (a matrix to be transposed) or `x5` and `o5` (runs to be copied).
 */
export function permute(
  x: usize, out: usize,
  n0: i32, n1: i32, n2: i32, n3: i32, n4: i32, n5: i32,
  x0: i32, x1: i32, x2: i32, x3: i32, x4: i32, x5: i32,
  o0: i32, o1: i32, o2: i32, o3: i32, o4: i32
): void {
  for (let i0 = 0; i0 < n0; i0++) {
    for (let i1 = 0; i1 < n1; i1++) {
      for (let i2 = 0; i2 < n2; i2++) {
        for (let i3 = 0; i3 < n3; i3++) {
          const from = x + ((<usize>i0 * x0 + <usize>i1 * x1 + <usize>i2 * x2 + <usize>i3 * x3) << 2)
          const to = out + ((<usize>i0 * o0 + <usize>i1 * o1 + <usize>i2 * o2 + <usize>i3 * o3) << 2)
          if (x5 == 1) copyRows(from, to, n4, n5, x4, o4)
          else transpose(from, to, n5, n4, x5, o4)
        }
      }
    }
  }
}

function copyRows(from: usize, to: usize, rows: i32, columns: i32, stepFrom: i32, stepTo: i32): void {
  const whole = <usize>(columns & ~3) << 2
  const bytes = <usize>columns << 2
  for (let row = 0; row < rows; row++) {
    let at: usize = 0
    for (; at < whole; at += 16) v128.store(to + at, v128.load(from + at))
    for (; at < bytes; at += 4) store<i32>(to + at, load<i32>(from + at))
    from += <usize>stepFrom << 2
    to += <usize>stepTo << 2
  }
}

/** `out[column][row] = x[row][column]`, rows `stepX` and `stepOut` elements apart: blocks of 4 x 4 in registers. */
export function transpose(x: usize, out: usize, rows: i32, columns: i32, stepX: i32, stepOut: i32): void {
  const wide = <usize>stepX << 2
  const high = <usize>stepOut << 2
  const rows4 = rows & ~3
  const columns4 = columns & ~3
  // Strips of 16 columns: the lines written to stay in the first-level cache while a strip's rows are read.
  for (let left = 0; left < columns4; left += 16) {
    const right = min(left + 16, columns4)
    for (let row = 0; row < rows4; row += 4) {
      let from = x + <usize>row * wide + (<usize>left << 2)
      let to = out + <usize>left * high + (<usize>row << 2)
      for (let column = left; column < right; column += 4) {
        const a = v128.load(from)
        const b = v128.load(from + wide)
        const c = v128.load(from + 2 * wide)
        const d = v128.load(from + 3 * wide)
        const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5)
        const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5)
        const ab2 = v128.shuffle<f32>(a, b, 2, 6, 3, 7)
        const cd2 = v128.shuffle<f32>(c, d, 2, 6, 3, 7)
        v128.store(to, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5))
        v128.store(to + high, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7))
        v128.store(to + 2 * high, v128.shuffle<f32>(ab2, cd2, 0, 1, 4, 5))
        v128.store(to + 3 * high, v128.shuffle<f32>(ab2, cd2, 2, 3, 6, 7))
        from += 16
        to += 4 * high
      }
    }
  }
  for (let row = 0; row < rows; row++) {
    for (let column = row < rows4 ? columns4 : 0; column < columns; column++) {
      store<i32>(out + <usize>column * high + (<usize>row << 2), load<i32>(x + <usize>row * wide + (<usize>column << 2)))
    }
  }
}
