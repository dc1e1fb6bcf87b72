// The log-probability of one target per row of logits. `scratch` holds the constants of `exp`.
import { exp, largestOf, loadFirst, log, prepareExp, storeFirst, sumOfExps } from "./math"

/**
 * out = logits[target] - logsumexp(logits) of each row. Keeps the log-sum-exp in two parts, because its sum would be rounded
 * to float32: the largest logit in `kept[row]`, one over the sum of exp(logit - largest) in `kept[rows + row]`.
 */
export function logProbs(
  logits: usize,
  targets: usize,
  out: usize,
  kept: usize,
  rows: i32,
  vocabulary: i32,
  scratch: usize
): void {
  prepareExp(scratch)
  const stride = <usize>vocabulary << 2
  const inverses = kept + (<usize>rows << 2)
  for (let row = 0; row < rows; row++, logits += stride) {
    const at = <usize>row << 2
    const highest = largestOf(logits, vocabulary)
    const total = sumOfExps(logits, vocabulary, highest, 1, scratch)
    const target = <usize>load<i32>(targets + at) << 2
    store<f32>(out + at, <f32>(<f64>load<f32>(logits + target) - <f64>highest - log(total)))
    store<f32>(kept + at, highest)
    store<f32>(inverses + at, <f32>(1.0 / total))
  }
}

/** dlogits = dy (onehot - softmax). */
export function logProbsGradient(
  logits: usize,
  targets: usize,
  kept: usize,
  dy: usize,
  dLogits: usize,
  rows: i32,
  vocabulary: i32,
  scratch: usize
): void {
  prepareExp(scratch)
  const whole = <usize>(vocabulary & ~3) << 2
  const whole8 = <usize>(vocabulary & ~7) << 2
  const rest = vocabulary & 3
  const stride = <usize>vocabulary << 2
  const inverses = kept + (<usize>rows << 2)
  for (let row = 0; row < rows; row++, logits += stride, dLogits += stride) {
    const at = <usize>row << 2
    const slope = load<f32>(dy + at)
    const highest = v128.load_splat<f32>(kept + at)
    const factor = f32x4.splat(-slope * load<f32>(inverses + at))
    let d: usize = 0
    for (; d < whole8; d += 32) {
      const a = exp(f32x4.sub(v128.load(logits + d), highest), scratch)
      const b = exp(f32x4.sub(v128.load(logits + d, 16), highest), scratch)
      v128.store(dLogits + d, f32x4.mul(factor, a))
      v128.store(dLogits + d, f32x4.mul(factor, b), 16)
    }
    if (d < whole) v128.store(dLogits + d, f32x4.mul(factor, exp(f32x4.sub(v128.load(logits + d), highest), scratch)))
    if (rest) {
      const last = f32x4.mul(factor, exp(f32x4.sub(loadFirst(logits + whole, rest), highest), scratch))
      storeFirst(dLogits + whole, last, rest)
    }
    const target = dLogits + (<usize>load<i32>(targets + at) << 2)
    store<f32>(target, load<f32>(target) + slope)
  }
}
