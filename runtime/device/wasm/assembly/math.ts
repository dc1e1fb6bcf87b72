// Exponentials and logarithms without tables, and what kernels need to handle the last few elements of a row. All of it is
// a fixed sequence of operations: equal bits for equal arguments, wherever in a vector or a matrix they lie.
import { madd } from "./lanes"

/**
 * Bytes of the constants that `exp` reads. They lie in memory because the engine builds a vector constant anew, in several
 * instructions, in every round of a loop: that more than doubled the time.
 */
export const EXP: i32 = 208

/** Writes the constants of `exp`. */
@inline
export function prepareExp(at: usize): void {
  v128.store(at, f32x4.splat(1))
  v128.store(at, f32x4.splat(-87.33654), 16)
  v128.store(at, f32x4.splat(88.37), 32)
  v128.store(at, f32x4.splat(12582912.0), 48)
  v128.store(at, f32x4.splat(1.44269504088896341), 64)
  v128.store(at, f32x4.splat(-0.693359375), 80)
  v128.store(at, f32x4.splat(2.12194440e-4), 96)
  v128.store(at, f32x4.splat(1.9875691500e-4), 112)
  v128.store(at, f32x4.splat(1.3981999507e-3), 128)
  v128.store(at, f32x4.splat(8.3334519073e-3), 144)
  v128.store(at, f32x4.splat(4.1665795894e-2), 160)
  v128.store(at, f32x4.splat(1.6666665459e-1), 176)
  v128.store(at, f32x4.splat(5.0000001201e-1), 192)
}

/**
 * exp of four numbers, with an error of at most 2 units in the last place for -87.336 <= x <= 88.37.
 * **Details** Below that range it is 0, above it stays at exp(88.37) = 2.4e38, and of NaN it is NaN. `x = n ln2 + r` with
 * `|r| <= ln2 / 2`, `n` by adding 1.5 * 2^23, and `exp(r) = 1 + r + r^2 P(r)`. `constants` is where `prepareExp` wrote.
 * **Source** The polynomial and the two parts of ln2 are those of Cephes' expf (S. L. Moshier).
 */
@inline
export function exp(x: v128, constants: usize): v128 {
  const one = v128.load(constants)
  const lowest = v128.load(constants, 16)
  const magic = v128.load(constants, 48)
  const small = f32x4.lt(x, lowest)
  // The order of arguments lets a NaN in x through.
  const inside = f32x4.pmax(f32x4.pmin(x, v128.load(constants, 32)), lowest)
  const shifted = madd(inside, v128.load(constants, 64), magic)
  const n = f32x4.sub(shifted, magic)
  let r = madd(n, v128.load(constants, 80), inside)
  r = madd(n, v128.load(constants, 96), r)
  let p = madd(r, v128.load(constants, 112), v128.load(constants, 128))
  p = madd(p, r, v128.load(constants, 144))
  p = madd(p, r, v128.load(constants, 160))
  p = madd(p, r, v128.load(constants, 176))
  p = madd(p, r, v128.load(constants, 192))
  p = f32x4.add(madd(p, f32x4.mul(r, r), r), one)
  // The low bits of `shifted` are those of n: they go into the exponent of 1.
  const power = i32x4.add(i32x4.shl(shifted, 23), one)
  return v128.andnot(f32x4.mul(p, power), small)
}

/**
 * Natural logarithm of a positive, finite, normal number, with an error below 1 unit in the last place of float64; NaN of
 * NaN.
 * **Details** In float64 because a row has only one: it costs less than the rounding of its argument to float32 would.
 * **Source** FreeBSD's e_log.c (Sun Microsystems), without its special cases.
 */
export function log(x: f64): f64 {
  if (x != x) return x
  const bits = reinterpret<i64>(x)
  // x = 2^k (1 + f) with sqrt(2)/2 < 1 + f < sqrt(2).
  const high = <i32>(bits >> 32) + (0x3ff00000 - 0x3fe6a09e)
  const k = (high >> 20) - 0x3ff
  const mantissa = (<i64>((high & 0x000fffff) + 0x3fe6a09e) << 32) | (bits & 0xffffffff)
  const f = reinterpret<f64>(mantissa) - 1.0
  const s = f / (2.0 + f)
  const z = s * s
  const w = z * z
  const odd = w * (3.999999999940941908e-1 + w * (2.222219843214978396e-1 + w * 1.531383769920937332e-1))
  const even =
    z *
    (6.666666666666735130e-1 +
      w * (2.857142874366239149e-1 + w * (1.818357216161805012e-1 + w * 1.479819860511658591e-1)))
  const half = 0.5 * f * f
  const n = <f64>k
  return s * (half + (odd + even)) + n * 1.90821492927058770002e-10 - half + f + n * 6.93147180369123816490e-1
}

/** The first `count` (1 to 3) of four numbers, zeros behind; reads nothing beyond them. */
@inline
export function loadFirst(at: usize, count: i32): v128 {
  if (count == 1) return v128.load_zero<f32>(at)
  const two = v128.load_zero<f64>(at)
  return count == 2 ? two : v128.load_lane<f32>(at, two, 2, 8)
}

/** Writes the first `count` (1 to 3) of four numbers. */
@inline
export function storeFirst(at: usize, x: v128, count: i32): void {
  if (count == 1) v128.store_lane<f32>(at, x, 0)
  else {
    v128.store_lane<f64>(at, x, 0)
    if (count == 3) v128.store_lane<f32>(at, x, 2, 8)
  }
}

/** The first `count` lanes of `x`, and `other` in the lanes behind. */
@inline
export function firstOr(x: v128, other: v128, count: i32): v128 {
  return v128.bitselect(x, other, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count)))
}

/** The largest lane; what it is when one is NaN is open. */
@inline
export function largest(x: v128): f32 {
  const pairs = f32x4.pmax(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1))
  return f32x4.extract_lane(f32x4.pmax(pairs, v128.shuffle<f32>(pairs, pairs, 1, 0, 3, 2)), 0)
}

/** Adds four float32 numbers to two float64 sums: lanes 0 and 2 to the first, 1 and 3 to the second. */
@inline
export function addWide(sums: v128, x: v128): v128 {
  const high = v128.shuffle<f32>(x, x, 2, 3, 0, 1)
  return f64x2.add(sums, f64x2.add(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(high)))
}

/** Sum of the two float64 lanes. */
@inline
export function sumWide(x: v128): f64 {
  return f64x2.extract_lane(x, 0) + f64x2.extract_lane(x, 1)
}

/** The largest of `count` numbers, -Infinity of none. */
export function largestOf(x: usize, count: i32): f32 {
  const end = x + (<usize>(count & ~3) << 2)
  let highest = f32x4.splat(-Infinity)
  for (; x < end; x += 16) highest = f32x4.pmax(highest, v128.load(x))
  const rest = count & 3
  if (rest) highest = f32x4.pmax(highest, firstOr(loadFirst(x, rest), highest, rest))
  return largest(highest)
}

/** Sum of exp((x - highest) * slope) of `count` numbers: float32 terms, added in float64. */
export function sumOfExps(x: usize, count: i32, highest: f32, slope: f32, constants: usize): f64 {
  const base = f32x4.splat(highest)
  const by = f32x4.splat(slope)
  const end16 = x + (<usize>(count & ~15) << 2)
  const end = x + (<usize>(count & ~3) << 2)
  let sums = f64x2.splat(0)
  for (; x < end16; x += 64) {
    const a = exp(f32x4.mul(f32x4.sub(v128.load(x), base), by), constants)
    const b = exp(f32x4.mul(f32x4.sub(v128.load(x, 16), base), by), constants)
    const c = exp(f32x4.mul(f32x4.sub(v128.load(x, 32), base), by), constants)
    const d = exp(f32x4.mul(f32x4.sub(v128.load(x, 48), base), by), constants)
    sums = addWide(sums, f32x4.add(f32x4.add(a, b), f32x4.add(c, d)))
  }
  for (; x < end; x += 16) sums = addWide(sums, exp(f32x4.mul(f32x4.sub(v128.load(x), base), by), constants))
  const rest = count & 3
  if (rest) {
    const last = exp(f32x4.mul(f32x4.sub(loadFirst(x, rest), base), by), constants)
    sums = addWide(sums, firstOr(last, f32x4.splat(0), rest))
  }
  return sumWide(sums)
}

/** exp of each of `count` numbers: lets a test compare `exp` densely with a more precise one. */
export function exps(x: usize, out: usize, count: i32, scratch: usize): void {
  prepareExp(scratch)
  let i = 0
  for (; i + 4 <= count; i += 4) v128.store(out + (<usize>i << 2), exp(v128.load(x + (<usize>i << 2)), scratch))
  const rest = count & 3
  if (rest) storeFirst(out + (<usize>i << 2), exp(loadFirst(x + (<usize>i << 2), rest), scratch), rest)
}

/** Bytes of working memory of kernels that need nothing but the constants of `exp`. */
export function expScratch(): i32 {
  return EXP
}
