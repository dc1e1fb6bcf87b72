/** From the gap `z` between two implicit rewards to a loss, element by element: `[B]` to `[B]`. */
import * as tf from "@tensorflow/tfjs"

export type Link = (gap: tf.Tensor1D) => tf.Tensor1D

/** `-ln sigma(z)`, by softplus(-z), which neither overflows nor loses small values. `ln 2` at 0. */
export const logistic: Link = (gap) => tf.softplus(tf.neg(gap))

/** `max(0, 1 - z)`; its gradient is 0 from `z = 1` on. */
export const hinge: Link = (gap) => tf.relu(tf.sub<tf.Tensor1D>(1, gap))

/** `(z - target)^2`: the gap is drawn to a target, from both sides. */
export const squared =
  (target: number): Link =>
  (gap) =>
    tf.square(tf.sub<tf.Tensor1D>(gap, target))

/**
 * `(1 - epsilon) link(z) + epsilon link(-z)`: trusts each label with probability `1 - epsilon` (label smoothing).
 * **Details** `epsilon` in [0, 1]; at 1/2 the loss no longer knows which answer was chosen.
 */
export const smooth =
  (epsilon: number) =>
  (link: Link): Link =>
    epsilon === 0
      ? link
      : (gap) => tf.add(tf.mul(link(gap), 1 - epsilon), tf.mul(link(tf.neg<tf.Tensor1D>(gap)), epsilon))
