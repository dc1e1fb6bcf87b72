import { Effect } from "effect"
import { PairLogProbsSet, Pairs } from "../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { NothingToTrainOn, train, trainingFields } from "./loop.ts"
import { Objective } from "./Objective.ts"
import { pairItems, pairLoss } from "./pairLoss.ts"
import { trained } from "./trained.ts"

/**
 * Minimizes a pairwise objective, averaged over pairs. The objective says what it reads: `referenceLogProbs` must be
 * given exactly if it reads the reference, and no reference model is ever loaded here.
 */
export const preference = Stage.make({
  name: "optimize.preference",
  description: "A policy trained on preference pairs",
  module: import.meta.url,
  params: { objective: Objective.schema, ...trainingFields },
  input: Pairs,
  inputs: { from: CheckpointFolder, referenceLogProbs: Stage.optional(PairLogProbsSet) },
  output: CheckpointFolder,
  numerics: true,
  random: true,
  run: ({ input, inputs, params, partial, rng }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { objective, ...training } = params
        const policy = yield* Policy.load(inputs.from)
        const items = yield* pairItems(
          policy,
          input,
          inputs.referenceLogProbs,
          objective.implementation.reads.reference
        )
        if (items.length === 0) return yield* new NothingToTrainOn({ stage: "optimize.preference", items: "pairs" })
        const lossOf = pairLoss(policy.model, objective.implementation)
        const log = yield* train({ model: policy.model, items, params: training, rng, partial, lossOf })
        return yield* trained(inputs.from, policy.model, params.steps, log)
      })
    )
})
