/** From pairs to tensors: what a pairwise objective is computed on, and the metrics that go with it. */
import * as tf from "@tensorflow/tfjs"
import { Effect, Schema, Stream } from "effect"
import type * as Artifact from "../../dsl/Artifact.ts"
import type { Pair, PairLogProbs } from "../../dsl/artifacts.ts"
import * as Batch from "../../runtime/models/Batch.ts"
import { tokenLogProbs } from "../../runtime/models/forward.ts"
import type { Llama } from "../../runtime/models/Llama.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import type { Contribution } from "../../runtime/tensor/train.ts"
import type { PairBatch, PairObjective, Tokens } from "./Objective.ts"

/**
 * A pair as token ids; `prompt` is the id of its prompt, `reference` holds the reference's log-probability of every
 * completion token, if it is read.
 */
export interface PairItem {
  readonly prompt: string
  readonly chosen: Batch.Row
  readonly rejected: Batch.Row
  readonly reference: { readonly chosen: ReadonlyArray<number>; readonly rejected: ReadonlyArray<number> } | undefined
}

/** Pairs and reference log-probabilities that do not belong together, or an answer without tokens. */
export class PairsInvalid extends Schema.TaggedError<PairsInvalid>()("PairsInvalid", {
  pair: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `pair ${JSON.stringify(this.pair)}: ${this.problem}`
  }
}

/** Reads pairs, and the reference's log-probabilities beside them, which must be of the same pairs in the same order. */
export const pairItems = Effect.fnUntraced(function* (
  policy: Policy.Policy,
  pairs: Artifact.Records<Pair>,
  logProbs: Artifact.Records<PairLogProbs> | undefined,
  readsReference: boolean
): Effect.fn.Return<ReadonlyArray<PairItem>, PairsInvalid | Batch.TokensInvalid | Artifact.DecodeError> {
  if (readsReference !== (logProbs !== undefined)) {
    const problem = readsReference
      ? "the objective reads the reference: give referenceLogProbs"
      : "the objective does not read the reference: leave referenceLogProbs out"
    return yield* new PairsInvalid({ pair: "", problem })
  }
  const records = yield* Stream.runCollect(pairs.stream)
  const references = logProbs === undefined ? undefined : yield* Stream.runCollect(logProbs.stream)
  if (references !== undefined && references.length !== records.length) {
    return yield* new PairsInvalid({
      pair: "",
      problem: `${records.length} pairs, but reference log-probabilities of ${references.length}`
    })
  }
  const items: Array<PairItem> = []
  for (const [i, pair] of records.entries()) {
    const chosen = Policy.rowOf(policy, pair.prompt, pair.chosen)
    const rejected = Policy.rowOf(policy, pair.prompt, pair.rejected)
    for (const { completion } of [chosen, rejected]) {
      if (completion.length === 0) return yield* new PairsInvalid({ pair: pair.id, problem: "an answer has no tokens" })
    }
    const reference = references?.[i]
    if (reference !== undefined) {
      const fits =
        reference.pair === pair.id &&
        reference.chosen.length === chosen.completion.length &&
        reference.rejected.length === rejected.completion.length
      if (!fits)
        return yield* new PairsInvalid({
          pair: pair.id,
          problem: "its reference log-probabilities are of other tokens"
        })
    }
    items.push({ prompt: pair.prompt.id, chosen, rejected, reference })
  }
  yield* Batch.validate(
    items.flatMap(({ chosen, rejected }) => [chosen, rejected]),
    policy.model.config
  )
  return items
})

/** The tensors of a batch of pairs: one forward pass over chosen and rejected rows together. */
export const pairBatch = (model: Llama, items: ReadonlyArray<PairItem>): PairBatch => {
  const rows = [...items.map(({ chosen }) => chosen), ...items.map(({ rejected }) => rejected)]
  const batch = Batch.make(rows)
  const width = batch.columns - 1
  const policy = tokenLogProbs(model, batch)
  const mask = new Float32Array(rows.length * width)
  const reference = new Float32Array(rows.length * width)
  rows.forEach(({ completion, prompt }, r) => {
    const start = r * width + prompt.length - 1
    mask.fill(1, start, start + completion.length)
    const item = items[r % items.length]!
    const values = r < items.length ? item.reference?.chosen : item.reference?.rejected
    if (values !== undefined) reference.set(values, start)
  })
  const grid = (values: Float32Array) => tf.tensor2d(values, [rows.length, width])
  const [masks, references] = [grid(mask), grid(reference)]
  const readsReference = items[0]!.reference !== undefined
  const side = (from: number): Tokens => {
    const half = (x: tf.Tensor2D) => tf.slice(x, [from, 0], [items.length, width])
    return { policy: half(policy), mask: half(masks), ...(readsReference ? { reference: half(references) } : {}) }
  }
  return { chosen: side(0), rejected: side(items.length) }
}

/** Sum of the objective over a micro-batch, with the sums of TRL's metrics. */
export const pairLoss =
  (model: Llama, objective: PairObjective) =>
  (items: ReadonlyArray<PairItem>): Contribution => {
    const batch = pairBatch(model, items)
    return { loss: tf.sum(objective.loss(batch)), weight: items.length, metrics: pairMetrics(objective, batch) }
  }

/**
 * Sums over pairs under TRL's names: implicit rewards of both sides, their margin, the share of pairs whose chosen answer
 * has strictly the higher one, and the answers' log-probabilities in nats.
 */
export const pairMetrics = (objective: PairObjective, { chosen, rejected }: PairBatch) => {
  const [rewardChosen, rewardRejected] = [objective.reward(chosen), objective.reward(rejected)]
  return {
    "rewards/chosen": tf.sum(rewardChosen) as tf.Scalar,
    "rewards/rejected": tf.sum(rewardRejected) as tf.Scalar,
    "rewards/margins": tf.sum(tf.sub(rewardChosen, rewardRejected)) as tf.Scalar,
    "rewards/accuracies": tf.sum(tf.cast(tf.greater(rewardChosen, rewardRejected), "float32")) as tf.Scalar,
    "logps/chosen": tf.sum(chosen.policy) as tf.Scalar,
    "logps/rejected": tf.sum(rejected.policy) as tf.Scalar
  }
}
