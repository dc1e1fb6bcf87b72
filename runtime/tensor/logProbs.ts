import * as tf from "@tensorflow/tfjs"
import { call, define, differentiable } from "./kernel.ts"

/**
 * The log-probability of one target token per row, in nats: `logits[n, target_n] - logsumexp(logits[n])`.
 * **Details** `logits` is `[N, V]`, `targets` N token ids on the host, the result `[N]`. Makes no one-hot matrix. Stable for
 * any finite logits: with `m` the row's largest, `logsumexp = m - log softmax(m)`, and `softmax(m) >= 1/V`. The gradient
 * is `dy (onehot - softmax)`. Throws a `RangeError` for a target outside the vocabulary.
 */
export const logProbs = (logits: tf.Tensor2D, targets: Int32Array): tf.Tensor1D =>
  differentiable([logits], (logits) => {
    const softmax = tf.softmax(logits)
    return {
      value: call(FORWARD, { logits, softmax }, { targets })[0]!,
      saved: [softmax],
      gradient: (dy, [softmax]) => call(BACKWARD, { dy, softmax: softmax! }, { targets })
    }
  }) as tf.Tensor1D

const FORWARD = "PreflineLogProbs"
const BACKWARD = "PreflineLogProbsGradient"

interface Attributes {
  readonly targets: Int32Array
}

define<Attributes>(FORWARD, (storage, { logits, softmax }, { targets }) => {
  const [rows, vocabulary] = logits!.shape as [number, number]
  if (targets.length !== rows) throw new RangeError(`${targets.length} targets for ${rows} rows of logits`)
  const out = storage.allocate([rows])
  const xs = storage.floats(logits!)
  const ps = storage.floats(softmax!)
  const ys = storage.floats(out)
  for (let n = 0; n < rows; n++) {
    const target = targets[n]!
    if (!(target >= 0 && target < vocabulary))
      throw new RangeError(`target ${target} is outside a vocabulary of ${vocabulary}`)
    const at = n * vocabulary
    let highest = 0
    for (let token = 1; token < vocabulary; token++) if (xs[at + token]! > xs[at + highest]!) highest = token
    ys[n] = xs[at + target]! - xs[at + highest]! + Math.log(ps[at + highest]!)
  }
  return [out]
})

define<Attributes>(BACKWARD, (storage, { dy, softmax }, { targets }) => {
  const [rows, vocabulary] = softmax!.shape as [number, number]
  const out = storage.allocate([rows, vocabulary])
  const ps = storage.floats(softmax!)
  const dys = storage.floats(dy!)
  const dxs = storage.floats(out)
  for (let n = 0; n < rows; n++) {
    const at = n * vocabulary
    const slope = dys[n]!
    for (let token = 0; token < vocabulary; token++) dxs[at + token] = -slope * ps[at + token]!
    dxs[at + targets[n]!]! += slope
  }
  return [out]
})
