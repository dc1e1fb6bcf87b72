// Root mean square normalization of rows.
import { madd, sum } from "./lanes"
import { loadFirst, storeFirst } from "./math"
import { sumOfSquares } from "./optimizer"

/** out = x * r * weight with r = 1 / sqrt(mean(x^2) + epsilon) of the row, which goes to `scales`. */
export function rmsNorm(
  x: usize,
  weight: usize,
  out: usize,
  scales: usize,
  rows: i32,
  width: i32,
  epsilon: f64
): void {
  const whole = <usize>(width & ~3) << 2
  const whole8 = <usize>(width & ~7) << 2
  const rest = width & 3
  const stride = <usize>width << 2
  for (let row = 0; row < rows; row++, x += stride, out += stride, scales += 4) {
    let even = f32x4.splat(0)
    let odd = f32x4.splat(0)
    let d: usize = 0
    for (; d < whole8; d += 32) {
      const a = v128.load(x + d)
      const b = v128.load(x + d, 16)
      even = madd(a, a, even)
      odd = madd(b, b, odd)
    }
    if (d < whole) {
      const a = v128.load(x + d)
      even = madd(a, a, even)
    }
    if (rest) {
      const b = loadFirst(x + whole, rest)
      odd = madd(b, b, odd)
    }
    let squares = <f64>sum(f32x4.add(even, odd))
    // Squares beyond float32: a scale of 0 would give a model that has diverged a finite result.
    if (squares == Infinity) squares = sumOfSquares(x, width)
    const scale = <f32>(1.0 / sqrt<f64>(squares / <f64>width + epsilon))
    store<f32>(scales, scale)
    const r = f32x4.splat(scale)
    for (d = 0; d < whole; d += 16)
      v128.store(out + d, f32x4.mul(f32x4.mul(v128.load(x + d), r), v128.load(weight + d)))
    if (rest) {
      const y = f32x4.mul(f32x4.mul(loadFirst(x + whole, rest), r), loadFirst(weight + whole, rest))
      storeFirst(out + whole, y, rest)
    }
  }
}

/** Rows whose shares of the weight's gradient are added in float32 before they join the float64 sum. */
const BLOCK: i32 = 8

/** Bytes of working memory of `rmsNormGradient`: a float64 sum per column, and two numbers per row of a block. */
export function rmsNormScratch(width: i32): i32 {
  return ((width + 3) & ~3) * 8 + BLOCK * 8
}

/**
 * dx = r (w dy - x r^2 mean(w dy x)) and dw = sum over rows of dy x r, with r the row's scale.
 * A row of dx depends on its own row only.
 */
export function rmsNormGradient(
  x: usize,
  weight: usize,
  scales: usize,
  dy: usize,
  dx: usize,
  dw: usize,
  rows: i32,
  width: i32,
  scratch: usize
): void {
  const whole = <usize>(width & ~3) << 2
  const rest = width & 3
  const stride = <usize>width << 2
  const sums = scratch
  const rowScalars = scratch + (<usize>((width + 3) & ~3) << 3)
  memory.fill(sums, 0, rowScalars - sums)
  for (let row = 0; row < rows; row += BLOCK) {
    const count = min(BLOCK, rows - row)
    const first = <usize>row * stride
    for (let i = 0; i < count; i++) {
      const at = first + <usize>i * stride
      let dots = f32x4.splat(0)
      for (let d: usize = 0; d < whole; d += 16)
        dots = madd(f32x4.mul(v128.load(dy + at + d), v128.load(x + at + d)), v128.load(weight + d), dots)
      if (rest) {
        const end = at + whole
        dots = madd(f32x4.mul(loadFirst(dy + end, rest), loadFirst(x + end, rest)), loadFirst(weight + whole, rest), dots)
      }
      const r = <f64>load<f32>(scales + (<usize>(row + i) << 2))
      store<f32>(rowScalars + (<usize>i << 3), <f32>r)
      store<f32>(rowScalars + (<usize>i << 3), <f32>(-(<f64>sum(dots) / <f64>width) * r * r * r), 4)
    }
    for (let d: usize = 0; d < whole; d += 16) {
      const w = v128.load(weight + d)
      let share = f32x4.splat(0)
      let at = first + d
      for (let i = 0; i < count; i++, at += stride) {
        const r = v128.load_splat<f32>(rowScalars + (<usize>i << 3))
        const pull = v128.load_splat<f32>(rowScalars + (<usize>i << 3), 4)
        const input = v128.load(x + at)
        const slope = f32x4.mul(v128.load(dy + at), r)
        share = madd(slope, input, share)
        v128.store(dx + at, madd(pull, input, f32x4.mul(slope, w)))
      }
      join(sums + (d << 1), share)
    }
    if (rest) {
      const w = loadFirst(weight + whole, rest)
      let share = f32x4.splat(0)
      let at = first + whole
      for (let i = 0; i < count; i++, at += stride) {
        const r = v128.load_splat<f32>(rowScalars + (<usize>i << 3))
        const pull = v128.load_splat<f32>(rowScalars + (<usize>i << 3), 4)
        const input = loadFirst(x + at, rest)
        const slope = f32x4.mul(loadFirst(dy + at, rest), r)
        share = madd(slope, input, share)
        storeFirst(dx + at, madd(pull, input, f32x4.mul(slope, w)), rest)
      }
      join(sums + (whole << 1), share)
    }
  }
  for (let d = 0; d < width; d++) store<f32>(dw + (<usize>d << 2), <f32>load<f64>(sums + (<usize>d << 3)))
}

/** Adds four float32 numbers to four float64 sums. */
@inline
function join(sums: usize, share: v128): void {
  const high = v128.shuffle<f32>(share, share, 2, 3, 0, 1)
  v128.store(sums, f64x2.add(v128.load(sums), f64x2.promote_low_f32x4(share)))
  v128.store(sums, f64x2.add(v128.load(sums, 16), f64x2.promote_low_f32x4(high)), 16)
}
