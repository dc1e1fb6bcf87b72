/** What a pairwise method sums up an answer with: `Tokens` of `[B, T]` to `[B]`, in nats (a token, for the means). */
import * as tf from "@tensorflow/tfjs"
import type { Tokens } from "./Objective.ts"

export type Statistic = (side: Tokens) => tf.Tensor1D

/** `ln policy(y | x)`: the sum over the completion's tokens. */
export const sumLogProb: Statistic = ({ mask, policy }) => masked(policy, mask)

/** `ln policy(y | x) / |y|`: the mean over the completion's tokens. NaN for a completion without tokens. */
export const meanLogProb: Statistic = (side) => perToken(sumLogProb(side), side)

/** `ln policy(y | x) - ln reference(y | x)`: the sum over the completion's tokens. */
export const sumLogRatio: Statistic = (side) => masked(tf.sub(side.policy, referenceOf(side)), side.mask)

/** `(ln policy(y | x) - ln reference(y | x)) / |y|`. NaN for a completion without tokens. */
export const meanLogRatio: Statistic = (side) => perToken(sumLogRatio(side), side)

/** A statistic times a constant, e.g. the implicit reward `beta ln (policy / reference)`. */
export const scaled =
  (factor: number, statistic: Statistic): Statistic =>
  (side) =>
    tf.mul(statistic(side), factor)

const masked = (values: tf.Tensor2D, mask: tf.Tensor2D): tf.Tensor1D => tf.sum(tf.mul(values, mask), 1)

const perToken = (sum: tf.Tensor1D, { mask }: Tokens): tf.Tensor1D => tf.div(sum, tf.sum(mask, 1))

const referenceOf = ({ reference }: Tokens): tf.Tensor2D => {
  if (reference === undefined)
    throw new TypeError("the objective reads the reference's log-probabilities, but was given none")
  return reference
}
