// Helpers on four float32 lanes, shared by all kernels. Everything here is inlined, so nothing of it is left in the module
// but `maddOnce`.

/** a * b + c: rounded once in the relaxed-SIMD build, twice in the plain one. Every kernel accumulates through it. */
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c)
  return f32x4.add(f32x4.mul(a, b), c)
}

/** `madd` of one number: the same bits as a lane of it. */
@inline
export function madd1(a: f32, b: f32, c: f32): f32 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    return f32x4.extract_lane(f32x4.relaxed_madd(f32x4.splat(a), f32x4.splat(b), f32x4.splat(c)), 0)
  }
  return a * b + c
}

/** Sum of the lanes, always as (0 + 2) + (1 + 3). */
@inline
export function sum(x: v128): f32 {
  const pairs = f32x4.add(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1))
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1)
}
