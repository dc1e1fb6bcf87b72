// Drawing tokens from rows of logits, without handing the rows to the host.
import {
  EXP, addWide, exp, firstOr, largestOf, loadFirst, log, prepareExp, storeFirst, sumOfExps, sumWide
} from "./math"

/** Bytes of working memory of `draw`: one row besides the constants of `exp`. */
export function drawScratch(vocabulary: i32): i32 {
  return EXP + vocabulary * 4
}

/**
 * One token per row by inverting the cumulative distribution of softmax(logits / temperature) at `uniforms[row]`, in order
 * of token id, or the likeliest token (of equal ones the lowest id) where the temperature is 0; and its log-probability at
 * temperature 1. `uniforms` are float64.
 */
export function draw(
  logits: usize,
  uniforms: usize,
  tokens: usize,
  logProbs: usize,
  rows: i32,
  vocabulary: i32,
  temperature: f64,
  scratch: usize
): void {
  const stride = <usize>vocabulary << 2
  const slope = <f32>(1.0 / temperature)
  const weights = scratch + EXP
  prepareExp(scratch)
  for (let row = 0; row < rows; row++, logits += stride) {
    const highest = largestOf(logits, vocabulary)
    let token: i32
    let total: f64
    if (temperature == 0) {
      token = firstEqual(logits, vocabulary, highest)
      total = sumOfExps(logits, vocabulary, highest, 1, scratch)
    } else {
      const weight = weigh(logits, vocabulary, highest, slope, weights, scratch)
      token = invert(weights, vocabulary, load<f64>(uniforms + (<usize>row << 3)) * weight)
      total = temperature == 1 ? weight : sumOfExps(logits, vocabulary, highest, 1, scratch)
    }
    const logit = <f64>load<f32>(logits + (<usize>token << 2))
    store<i32>(tokens + (<usize>row << 2), token)
    store<f32>(logProbs + (<usize>row << 2), <f32>(logit - <f64>highest - log(total)))
  }
}

/** The first index whose number is `value`, 0 if none is (a row of NaN). */
function firstEqual(x: usize, count: i32, value: f32): i32 {
  for (let i = 0; i < count; i++) if (load<f32>(x + (<usize>i << 2)) == value) return i
  return 0
}

/** weights = exp((x - highest) * slope); returns their sum in float64. */
function weigh(x: usize, count: i32, highest: f32, slope: f32, weights: usize, constants: usize): f64 {
  const base = f32x4.splat(highest)
  const by = f32x4.splat(slope)
  const whole = <usize>(count & ~3) << 2
  let sums = f64x2.splat(0)
  let d: usize = 0
  for (; d < whole; d += 16) {
    const four = exp(f32x4.mul(f32x4.sub(v128.load(x + d), base), by), constants)
    v128.store(weights + d, four)
    sums = addWide(sums, four)
  }
  const rest = count & 3
  if (rest) {
    const last = exp(f32x4.mul(f32x4.sub(loadFirst(x + d, rest), base), by), constants)
    storeFirst(weights + d, last, rest)
    sums = addWide(sums, firstOr(last, f32x4.splat(0), rest))
  }
  return sumWide(sums)
}

/**
 * The first index at which the running sum of weights exceeds `goal`; the last weight above 0 if rounding prevents that.
 * Goes in strides of sixteen until the index lies ahead.
 */
function invert(weights: usize, count: i32, goal: f64): i32 {
  let cumulative: f64 = 0
  let i = 0
  for (; i + 16 <= count; i += 16) {
    const at = weights + (<usize>i << 2)
    let sums = addWide(addWide(f64x2.splat(0), v128.load(at)), v128.load(at, 16))
    sums = addWide(addWide(sums, v128.load(at, 32)), v128.load(at, 48))
    const next = cumulative + sumWide(sums)
    if (next > goal) break
    cumulative = next
  }
  for (; i < count; i++) {
    const weight = load<f32>(weights + (<usize>i << 2))
    cumulative += <f64>weight
    // A weight of 0 leaves the sum as it is, but rounding within a stride may have left it on either side of the goal.
    if (weight > 0 && cumulative > goal) return i
  }
  for (i = count - 1; i > 0; i--) if (load<f32>(weights + (<usize>i << 2)) > 0) return i
  return 0
}
