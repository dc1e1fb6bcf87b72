import * as tf from "@tensorflow/tfjs"
import { Effect, Schema } from "effect"
import { type Evaluation, EvaluationReport, PairLogProbsSet, Pairs } from "../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { computed } from "../../runtime/tensor/read.ts"
import { Objective } from "../optimize/Objective.ts"
import { type PairItem, pairBatch, pairItems } from "../optimize/pairLoss.ts"
import { clusteredEstimate } from "./estimates.ts"
import { NothingToEvaluate } from "./evaluate.ts"

const PAIRS_AT_ONCE = 32

/** The policy's weights have grown too large: it gives a pair no finite implicit rewards or no finite loss. */
export class PreferenceDiverged extends Schema.TaggedError<PreferenceDiverged>()("PreferenceDiverged", {
  /** Number of the pair, from 0. */
  pair: Schema.Int
}) {
  override get message() {
    return `the policy gives no finite implicit rewards or no finite loss for pair ${this.pair}`
  }
}

/**
 * How well a policy's implicit reward orders pairs that it was not trained on, under TRL's names: `rewards/accuracies`
 * (share of pairs whose chosen answer has strictly the higher implicit reward), `rewards/margins`, `loss`. Means over
 * pairs; their intervals respect that the pairs of one prompt belong together.
 */
export const preferenceAccuracy = Stage.make({
  name: "evaluate.preference",
  description: "Implicit-reward accuracy, margin and loss on held-out pairs",
  module: import.meta.url,
  params: { objective: Objective.schema },
  input: Pairs,
  inputs: { policy: CheckpointFolder, referenceLogProbs: Stage.optional(PairLogProbsSet) },
  output: EvaluationReport,
  numerics: true,
  run: ({ input, inputs, params }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const objective = params.objective.implementation
        const policy = yield* Policy.load(inputs.policy)
        const items = yield* pairItems(policy, input, inputs.referenceLogProbs, objective.reads.reference)
        if (items.length === 0) return yield* new NothingToEvaluate({ what: "pairs" })
        const measured: Array<{ readonly accuracy: number; readonly margin: number; readonly loss: number }> = []
        for (let start = 0; start < items.length; start += PAIRS_AT_ONCE) {
          yield* Effect.yieldNow
          const found = yield* measure(policy, objective, items.slice(start, start + PAIRS_AT_ONCE))
          const wrong = found.findIndex(({ loss, margin }) => !Number.isFinite(loss) || !Number.isFinite(margin))
          if (wrong >= 0) return yield* new PreferenceDiverged({ pair: start + wrong })
          measured.push(...found)
        }
        const prompts = items.map(({ prompt }) => prompt)
        const report: Evaluation = {
          estimates: {
            "rewards/accuracies": clusteredEstimate(
              measured.map(({ accuracy }) => accuracy),
              prompts
            ),
            "rewards/margins": clusteredEstimate(
              measured.map(({ margin }) => margin),
              prompts
            ),
            loss: clusteredEstimate(
              measured.map(({ loss }) => loss),
              prompts
            )
          },
          examples: []
        }
        return report
      })
    )
})

const measure = Effect.fnUntraced(function* (
  policy: Policy.Policy,
  objective: (typeof Objective.schema.Type)["implementation"],
  items: ReadonlyArray<PairItem>
) {
  const values = yield* computed(() => {
    const batch = pairBatch(policy.model, items)
    return tf.stack([objective.reward(batch.chosen), objective.reward(batch.rejected), objective.loss(batch)])
  })
  const [chosen, rejected, loss] = [0, 1, 2].map((row) => values.subarray(row * items.length, (row + 1) * items.length))
  return items.map((_, i) => ({
    accuracy: chosen![i]! > rejected![i]! ? 1 : 0,
    margin: chosen![i]! - rejected![i]!,
    loss: loss![i]!
  }))
})
