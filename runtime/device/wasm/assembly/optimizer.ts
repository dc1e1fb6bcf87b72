// The optimizer's arithmetic: AdamW in place, and the square of a gradient's length.
import { madd } from "./lanes"
import { loadFirst, storeFirst } from "./math"

/**
 * With g = gradient * scale: first += (1 - beta1) (g - first), second += (1 - beta2) (g^2 - second),
 * parameter -= decay * parameter + size * first / (sqrt(second) * correction + epsilon), where decay = 1 - keep.
 * **Details** Written as differences, because beta2 and keep lie so near 1 that rounding them to float32 would shift the
 * second moment by 1e-5 and the decay by percents. A first moment below the smallest normal number becomes 0: where a
 * gradient stays away (rare tokens) it would fade through the denormal numbers, which processors handle a hundred times
 * slower.
 */
export function adamW(
  parameter: usize,
  first: usize,
  second: usize,
  gradient: usize,
  count: i32,
  scale: f64,
  beta1: f64,
  beta2: f64,
  epsilon: f64,
  size: f64,
  correction: f64,
  keep: f64
): void {
  const scales = f32x4.splat(<f32>scale)
  const rate1 = f32x4.splat(<f32>(1.0 - beta1))
  const rate2 = f32x4.splat(<f32>(1.0 - beta2))
  const epsilons = f32x4.splat(<f32>epsilon)
  const sizes = f32x4.splat(<f32>size)
  const corrections = f32x4.splat(<f32>correction)
  const decay = f32x4.splat(<f32>(1.0 - keep))
  const smallest = f32x4.splat(1.17549435e-38)
  const rest = count & 3
  for (let i = 0; i < count; i += 4, parameter += 16, first += 16, second += 16, gradient += 16) {
    const last = i + 4 > count
    const p = last ? loadFirst(parameter, rest) : v128.load(parameter)
    const g = f32x4.mul(last ? loadFirst(gradient, rest) : v128.load(gradient), scales)
    const m0 = last ? loadFirst(first, rest) : v128.load(first)
    const v0 = last ? loadFirst(second, rest) : v128.load(second)
    let m = madd(rate1, f32x4.sub(g, m0), m0)
    m = v128.andnot(m, f32x4.lt(f32x4.abs(m), smallest))
    const v = madd(rate2, f32x4.sub(f32x4.mul(g, g), v0), v0)
    const step = f32x4.div(f32x4.mul(sizes, m), madd(f32x4.sqrt(v), corrections, epsilons))
    const next = f32x4.sub(p, madd(decay, p, step))
    if (last) {
      storeFirst(first, m, rest)
      storeFirst(second, v, rest)
      storeFirst(parameter, next, rest)
    } else {
      v128.store(first, m)
      v128.store(second, v)
      v128.store(parameter, next)
    }
  }
}

/** Sum of squares, products and sum in float64. */
export function sumOfSquares(x: usize, count: i32): f64 {
  const end = x + (<usize>(count & ~3) << 2)
  let low = f64x2.splat(0)
  let high = f64x2.splat(0)
  for (; x < end; x += 16) {
    const four = v128.load(x)
    const a = f64x2.promote_low_f32x4(four)
    const b = f64x2.promote_low_f32x4(v128.shuffle<f32>(four, four, 2, 3, 0, 1))
    low = f64x2.add(low, f64x2.mul(a, a))
    high = f64x2.add(high, f64x2.mul(b, b))
  }
  const sums = f64x2.add(low, high)
  let total = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1)
  for (let i = 0; i < (count & 3); i++) {
    const last = <f64>load<f32>(x + (<usize>i << 2))
    total += last * last
  }
  return total
}
