import { Schema } from "effect"
import { Count, NonNegative, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { plus } from "../links.ts"
import { Objective, objective } from "../Objective.ts"

/** `-ln softmax(logits)[label]`; 0 for a label that is none of theirs. */
const crossEntropy = (logits: ReadonlyArray<X.Expression>, label: X.Expression): X.Expression => {
  const all = X.logSumExp(logits)
  const is = (k: number) => X.mul(X.less(k - 0.5, label), X.less(label, k + 0.5))
  return X.sum(logits.map((logit, k) => X.mul(is(k), X.sub(all, logit))))
}

/**
 * Any objective, and beside it the recognition of how much of an answer's content is left (self-supervised preference
 * optimization by preference degree).
 * **Details** `loss = objective + gamma (CE_chosen + CE_rejected) / 2`: cross-entropies of `levels + 1` outputs of the head on the
 * answers `degradedChosen` and `degradedRejected` with the numbers `degreeChosen` and `degreeRejected`, whole, 0 (nothing
 * deleted) to `levels`; -1 leaves that answer out. The head's outputs come after those that the objective reads itself;
 * `separateHeads` gives each side its own. A head of zeros costs `ln (levels + 1)`. At `gamma` 0 it is the objective.
 * **Source** Li et al. 2024, arXiv 2409.17791, from its description: default `levels` and `gamma` and the shared head are ours.
 */
export const withDegree = Objective.define("with-degree", {
  module: import.meta.url,
  description: "An objective, and the recognition of preference degrees",
  params: {
    objective: Objective.schema,
    gamma: NonNegative.pipe(withDefault(0.1)),
    levels: Count.pipe(withDefault(3)),
    separateHeads: Schema.Boolean.pipe(withDefault(false))
  },
  make: ({ gamma, levels, objective: { implementation: base }, separateHeads }) => {
    const range = { minimum: -1, maximum: levels, whole: true }
    const degree = (side: string, first: number) => {
      const logits = Array.from({ length: levels + 1 }, (_, k) => X.head(`degraded${side}`, first + k))
      return crossEntropy(logits, X.number(`degree${side}`, range))
    }
    const { heads } = base.reads
    const both = X.mean([degree("Chosen", heads), degree("Rejected", separateHeads ? heads + levels + 1 : heads)])
    return objective({ reward: base.reward, loss: plus(base.loss, gamma, both) })
  }
})
