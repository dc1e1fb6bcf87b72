import * as tf from "@tensorflow/tfjs"
import { Effect, Stream } from "effect"
import { Texts } from "../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Batch from "../../runtime/models/Batch.ts"
import { tokenLogProbs } from "../../runtime/models/forward.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { NothingToTrainOn, separable, train, trainingFields } from "./loop.ts"
import { trained } from "./trained.ts"

/**
 * Maximum likelihood on whole texts: the mean negative log-probability per token, the end-of-sequence token included,
 * over all tokens of a step. Texts longer than the model's context are cut, without an end-of-sequence token.
 */
export const supervised = Stage.make({
  name: "optimize.supervised",
  description: "A policy trained on texts by maximum likelihood",
  module: import.meta.url,
  params: trainingFields,
  input: Texts,
  inputs: { from: CheckpointFolder },
  output: CheckpointFolder,
  numerics: true,
  random: true,
  run: ({ input, inputs, params, partial, rng }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const policy = yield* Policy.load(inputs.from)
        const longest = policy.model.config.max_position_embeddings - 1
        const rows = yield* input.stream.pipe(
          Stream.map(({ text }): Batch.Row => {
            const tokens = [...policy.tokenizer.encode(text), policy.eos]
            return { prompt: [policy.bos], completion: tokens.slice(0, longest) }
          }),
          Stream.runCollect
        )
        if (rows.length === 0) return yield* new NothingToTrainOn({ stage: "optimize.supervised", items: "texts" })
        const lossOf = (items: ReadonlyArray<Batch.Row>) => ({
          loss: tf.neg(tf.sum(tokenLogProbs(policy.model, Batch.make(items)))) as tf.Scalar,
          weight: items.reduce((sum, { completion }) => sum + completion.length, 0)
        })
        const log = yield* train({ model: policy.model, items: rows, params, rng, partial, losses: separable(lossOf) })
        return yield* trained(inputs.from, policy.model, params.steps, log)
      })
    )
})
