/**
 * The kind of component that a policy is trained on with preference pairs: an implicit reward of one answer and a loss of
 * a pair. It says what it reads, and is given just that.
 */
import * as tf from "@tensorflow/tfjs"
import * as Component from "../../dsl/Component.ts"
import { laws } from "./objectiveLaws.ts"

/**
 * One side of a batch of pairs. `policy` and `reference`: `[B, T]` log-probabilities in nats of the completion's tokens,
 * 0 where `mask` is 0; `mask`: `[B, T]` of 0 and 1, at least one 1 a row. `reference` is there only if the objective
 * reads it.
 */
export interface Tokens {
  readonly policy: tf.Tensor2D
  readonly reference?: tf.Tensor2D
  readonly mask: tf.Tensor2D
}

export interface PairBatch {
  readonly chosen: Tokens
  readonly rejected: Tokens
}

/**
 * `reads`: what the method must be given. `reward`: the implicit reward of each answer, `[B]`, for metrics. `loss`: `[B]`,
 * one for each pair, not reduced: the caller takes the mean.
 */
export interface PairObjective<out Reference extends boolean = boolean> {
  readonly reads: { readonly reference: Reference }
  readonly reward: (side: Tokens) => tf.Tensor1D
  readonly loss: (batch: PairBatch) => tf.Tensor1D
}

/** `true` for an objective (a component or what it implements) that reads the reference, `false` for one that does not. */
export type ReadsReference<O> =
  O extends PairObjective<infer Reference>
    ? Reference
    : O extends { readonly implementation: PairObjective<infer Reference> }
      ? Reference
      : never

export const Objective = Component.kind<PairObjective>()("objective", { laws })

/** Defines an objective whose type says that it reads the reference. */
export const defineReferenced = Objective.define as Component.Kind<"objective", PairObjective<true>>["define"]

/** Defines an objective whose type says that it does without a reference. */
export const defineReferenceFree = Objective.define as Component.Kind<"objective", PairObjective<false>>["define"]

/**
 * The loss of most pairwise methods: a link of the gap between the two implicit rewards, less a target margin.
 * `loss = link(reward(chosen) - reward(rejected) - margin)`.
 */
export const ofGap =
  (reward: PairObjective["reward"], link: (gap: tf.Tensor1D) => tf.Tensor1D, margin = 0) =>
  ({ chosen, rejected }: PairBatch): tf.Tensor1D =>
    link(tf.sub<tf.Tensor1D>(tf.sub(reward(chosen), reward(rejected)), margin))
