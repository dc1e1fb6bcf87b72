import * as tf from "@tensorflow/tfjs"
import { operation } from "./operations.ts"

/**
 * The log-probability of one target token per row, in nats: `logits[n, target_n] - logsumexp(logits[n])`.
 * **Details** `logits` is `[N, V]`, `targets` N token ids on the host, the result `[N]`. Makes no one-hot matrix, and is
 * stable for any finite logits. The gradient is `dy (onehot - softmax)`. Throws a `RangeError` for a target outside the
 * vocabulary.
 */
export const logProbs = (logits: tf.Tensor2D, targets: Int32Array): tf.Tensor1D => {
  const [rows, vocabulary] = logits.shape
  if (targets.length !== rows) throw new RangeError(`${targets.length} targets for ${rows} rows of logits`)
  for (const target of targets)
    if (!(target >= 0 && target < vocabulary))
      throw new RangeError(`target ${target} is outside a vocabulary of ${vocabulary}`)
  return LogProbs({ logits }, { targets }) as tf.Tensor1D
}

export const LogProbs = operation({
  name: "LogProbs",
  inputs: ["logits"],
  composed: ({ logits }, { targets }: { readonly targets: Int32Array }) => {
    const vocabulary = logits.shape[1]!
    const at = tf.tensor1d(
      targets.map((target, row) => row * vocabulary + target),
      "int32"
    )
    return tf.gather(tf.reshape(tf.logSoftmax(logits), [-1]), at)
  }
})
