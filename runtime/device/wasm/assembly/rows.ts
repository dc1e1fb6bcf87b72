// Picking rows of a matrix, and adding rows into one.
import { loadFirst, storeFirst } from "./math"

/** out[i] = x[rows[i]]. */
export function gatherRows(x: usize, rows: usize, out: usize, count: i32, width: i32): void {
  const whole = <usize>(width & ~3) << 2
  const rest = width & 3
  const stride = <usize>width << 2
  for (let i = 0; i < count; i++, out += stride) {
    const from = x + <usize>load<i32>(rows + (<usize>i << 2)) * stride
    for (let d: usize = 0; d < whole; d += 16) v128.store(out + d, v128.load(from + d))
    if (rest) storeFirst(out + whole, loadFirst(from + whole, rest), rest)
  }
}

/** out = 0, then out[rows[i]] += x[i] in order; `out` has `height` rows. */
export function scatterRows(x: usize, rows: usize, out: usize, count: i32, width: i32, height: i32): void {
  const whole = <usize>(width & ~3) << 2
  const rest = width & 3
  const stride = <usize>width << 2
  memory.fill(out, 0, <usize>height * stride)
  for (let i = 0; i < count; i++, x += stride) {
    const to = out + <usize>load<i32>(rows + (<usize>i << 2)) * stride
    for (let d: usize = 0; d < whole; d += 16) v128.store(to + d, f32x4.add(v128.load(to + d), v128.load(x + d)))
    if (rest) storeFirst(to + whole, f32x4.add(loadFirst(to + whole, rest), loadFirst(x + whole, rest)), rest)
  }
}
