import * as tf from "@tensorflow/tfjs"
import { Effect, Schema } from "effect"
import { type Evaluation, EvaluationReport, PairLogProbsSet, Pairs } from "../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import * as Stage from "../../dsl/Stage.ts"
import { HEAD } from "../../runtime/models/LlamaConfig.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { computed } from "../../runtime/tensor/read.ts"
import type { Expression } from "../optimize/algebra/Expression.ts"
import { type Reads, reads } from "../optimize/algebra/reads.ts"
import { onTensors } from "../optimize/algebra/tensors.ts"
import { type Item, itemsOf, PairsInvalid, tensorsOf } from "../optimize/items.ts"
import { Objective } from "../optimize/Objective.ts"
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
 * (share of pairs whose chosen answer has strictly the higher implicit reward), `rewards/margins` and, for objectives whose loss
 * reads nothing but the two answers, `loss`. Means over pairs; their intervals respect that the pairs of one prompt belong
 * together.
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
        const roots = rootsOf(objective)
        const [wanted, outputs] = [objective.reads.heads, policy.model.parameters.get(HEAD)?.shape[0] ?? 0]
        if (wanted > 0 && wanted !== outputs) {
          const problem = `the objective's head has ${wanted} outputs, the checkpoint's ${outputs}`
          return yield* new PairsInvalid({ pair: "", problem })
        }
        const items = yield* itemsOf(policy, input, { reference: inputs.referenceLogProbs }, reads(roots))
        if (items.length === 0) return yield* new NothingToEvaluate({ what: "pairs" })
        const measured: Array<ReadonlyArray<number>> = []
        for (let start = 0; start < items.length; start += PAIRS_AT_ONCE) {
          yield* Effect.yieldNow
          const found = yield* measure(policy, roots, items.slice(start, start + PAIRS_AT_ONCE))
          const wrong = found.findIndex((values) => values.some((value) => !Number.isFinite(value)))
          if (wrong >= 0) return yield* new PreferenceDiverged({ pair: start + wrong })
          measured.push(...found)
        }
        const prompts = items.map(({ prompt }) => prompt)
        const values = {
          "rewards/accuracies": measured.map(([chosen, rejected]) => (chosen! > rejected! ? 1 : 0)),
          "rewards/margins": measured.map(([chosen, rejected]) => chosen! - rejected!),
          ...(roots.length > 2 ? { loss: measured.map(([, , loss]) => loss!) } : {})
        }
        const report: Evaluation = {
          estimates: Object.fromEntries(
            Object.entries(values).map(([name, all]) => [name, clusteredEstimate(all, prompts)])
          ),
          byPrompt: { prompts, values },
          examples: []
        }
        return report
      })
    )
})

/** The implicit rewards of both answers and, where it can be computed from them alone, the loss. */
const rootsOf = ({ loss, reads, reward }: Objective) => {
  const rewards = [reward("chosen"), reward("rejected")]
  const isOfThePair =
    !reads.batch &&
    !reads.guide &&
    Object.keys(reads.numbers).length === 0 &&
    reads.roles.every((role) => role === "chosen" || role === "rejected")
  return isOfThePair ? [...rewards, loss] : rewards
}

/** What `preferenceAccuracy` reads of pairs, which may be less than the loss does. */
export const preferenceReads = (objective: Objective): Reads => reads(rootsOf(objective))

/** One value of each root for each item. */
const measure = Effect.fnUntraced(function* (
  policy: Policy.Policy,
  roots: ReadonlyArray<Expression>,
  items: ReadonlyArray<Item>
) {
  const values = yield* computed(() => tf.stack([...onTensors(roots, tensorsOf(policy.model, items, reads(roots)))]))
  return items.map((_, i) => roots.map((_, row) => values[row * items.length + i]!))
})
