import { Effect, Stream } from "effect"
import { PairLogProbsSet, Pairs, Prompts } from "../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import { NonNegative, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { withHead } from "../../runtime/models/head.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { itemLosses } from "./itemLoss.ts"
import { itemsOf } from "./items.ts"
import { NothingToTrainOn, train, trainingFields } from "./loop.ts"
import { Objective } from "./Objective.ts"
import { trained } from "./trained.ts"
import { watchFields, watching } from "./watch.ts"

/**
 * Minimizes an objective, averaged over pairs by their number `weight` (1 where they have none; those of weight 0 are left
 * out). The objective says what it reads: `referenceLogProbs` and `guideLogProbs` must be given exactly if it reads them,
 * and no frozen model is loaded for it. Where it reads a head, the checkpoint's own is trained further if it has as many
 * outputs, else a fresh one: normal with deviation `headDeviation`, 0 unless told.
 *
 * The policy answers the prompts of `watch`, if there are some, before the first step, every `watchEvery` and after the
 * last: the log then has `eval_kl` (nats per answer from `from`, which is kept beside the policy for it), `eval_length`
 * (tokens) and, of a `watchReward`, `eval_reward`. Each look draws alike, and the weights that result are the same without.
 */
export const preference = Stage.make({
  name: "optimize.preference",
  description: "A policy trained on preference pairs",
  module: import.meta.url,
  params: {
    objective: Objective.schema,
    headDeviation: NonNegative.pipe(withDefault(0)),
    ...trainingFields,
    ...watchFields
  },
  input: Pairs,
  inputs: {
    from: CheckpointFolder,
    referenceLogProbs: Stage.optional(PairLogProbsSet),
    guideLogProbs: Stage.optional(PairLogProbsSet),
    watch: Stage.optional(Prompts)
  },
  output: CheckpointFolder,
  numerics: true,
  random: true,
  run: ({ input, inputs, params, partial, rng }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { headDeviation, objective, ...training } = params
        const { reads } = objective.implementation
        const from = withHead(inputs.from, reads.heads, headDeviation, rng.fork("head"))
        const policy = yield* Policy.load(from)
        const annotations = { reference: inputs.referenceLogProbs, guide: inputs.guideLogProbs }
        const all = yield* itemsOf(policy, input, annotations, reads)
        const items = all.filter(({ weight }) => weight > 0)
        if (items.length === 0) return yield* new NothingToTrainOn({ stage: "optimize.preference", items: "pairs" })
        const losses = itemLosses(policy.model, objective.implementation)
        const prompts = inputs.watch === undefined ? [] : yield* Stream.runCollect(inputs.watch.stream)
        const watch = prompts.length === 0 ? undefined : yield* watching(policy, inputs.from, prompts, params, rng)
        const log = yield* train({ model: policy.model, items, params: training, rng, partial, losses, watch })
        return yield* trained(from, policy.model, params.steps, log)
      })
    )
})
