import * as tf from "@tensorflow/tfjs"
import { operation } from "./operations.ts"

/**
 * Scales each row to unit root mean square, then by a learned weight: `y = x / sqrt(mean(x^2) + epsilon) * weight`.
 * **Details** `x` is `[N, D]`, `weight` `[D]`, the result `[N, D]`.
 * Composed, a row whose squares leave float32 is NaN and not 0: what has diverged must not look finite.
 * **Source** Zhang and Sennrich 2019, arXiv 1910.07467; epsilon stands inside the root, as in Llama.
 */
export const rmsNorm = (x: tf.Tensor2D, weight: tf.Tensor1D, epsilon: number): tf.Tensor2D =>
  RmsNorm({ x, weight }, { epsilon }) as tf.Tensor2D

export const RmsNorm = operation({
  name: "RmsNorm",
  inputs: ["x", "weight"],
  composed: ({ weight, x }, { epsilon }: { readonly epsilon: number }) => {
    const mean = tf.mean(tf.square(x), -1, true)
    const scale = tf.add(tf.rsqrt(tf.add(mean, epsilon)), tf.mul(mean, 0))
    return tf.mul(tf.mul(x, scale), weight)
  }
})
