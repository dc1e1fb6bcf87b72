import { Effect, Stream } from "effect"
import { type Evaluation, EvaluationReport, Pairs } from "../../dsl/artifacts.ts"
import { ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { estimate } from "../evaluate/estimates.ts"
import { NothingToEvaluate } from "../evaluate/evaluate.ts"
import * as Float64 from "../optimize/algebra/float64.ts"
import { reads } from "../optimize/algebra/reads.ts"
import { Objective } from "../optimize/Objective.ts"
import { sumLogProb } from "../optimize/statistics.ts"
import { exactItems } from "./items.ts"
import { MinimizationFailed } from "./optimize.ts"

/**
 * An exact policy on pairs, under TRL's names: `rewards/accuracies` (share of pairs whose chosen answer has strictly the
 * higher implicit reward), `rewards/margins`, `rewards/abs_margins`, `loss`, `logps/chosen`, `logps/rejected` in nats. Means
 * over pairs that count the same, whatever their weight; `gold/accuracies` is over the pairs with different gold rewards,
 * ordered by these, where pairs have them.
 */
export const preference = Stage.make({
  name: "exact.preference",
  description: "Implicit-reward accuracy, margin and loss of an exact policy on pairs",
  module: import.meta.url,
  params: { objective: Objective.schema },
  input: Pairs,
  inputs: {
    policy: ExactPolicyValue,
    reference: Stage.optional(ExactPolicyValue),
    guide: Stage.optional(ExactPolicyValue)
  },
  output: EvaluationReport,
  run: ({ input, inputs, params: { objective } }) =>
    Effect.gen(function* () {
      const pairs = yield* Stream.runCollect(input.stream)
      if (pairs.length === 0) return yield* new NothingToEvaluate({ what: "pairs" })
      return yield* Effect.try({
        try: (): Evaluation => {
          const { loss, reward } = objective.implementation
          const roots = [reward("chosen"), reward("rejected"), loss, sumLogProb("chosen"), sumLogProb("rejected")]
          const frozen = {
            reference: inputs.reference && policyOf(inputs.reference),
            guide: inputs.guide && policyOf(inputs.guide)
          }
          const items = exactItems(pairs, reads(roots), frozen).under(policyOf(inputs.policy))
          const [chosen, rejected, losses, logChosen, logRejected] = Float64.evaluate(roots, items).values
          const margins = [...chosen!.map((x, i) => x - rejected![i]!)]
          const byGold = pairs.flatMap(({ numbers }, i) => {
            const gap = (numbers?.["goldChosen"] ?? 0) - (numbers?.["goldRejected"] ?? 0)
            return gap === 0 ? [] : [Math.sign(gap) * margins[i]! > 0 ? 1 : 0]
          })
          return {
            estimates: {
              "rewards/accuracies": estimate(margins.map((margin) => (margin > 0 ? 1 : 0))),
              "rewards/margins": estimate(margins),
              "rewards/abs_margins": estimate(margins.map(Math.abs)),
              loss: estimate([...losses!]),
              "logps/chosen": estimate([...logChosen!]),
              "logps/rejected": estimate([...logRejected!]),
              ...(byGold.length === 0 ? {} : { "gold/accuracies": estimate(byGold) })
            },
            examples: []
          }
        },
        catch: (cause) => new MinimizationFailed({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    })
})
