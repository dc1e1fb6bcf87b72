import { madd1 } from "./lanes"

/** Lets the host see whether this machine fuses `madd`: relaxed SIMD allows both. */
export function maddOnce(a: f32, b: f32, c: f32): f32 {
  return madd1(a, b, c)
}
