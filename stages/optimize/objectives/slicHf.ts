import { NonNegative, withDefault } from "../../../dsl/Params.ts"
import { mul, relu, sub } from "../algebra/Expression.ts"
import { defineReferenceFree } from "../Objective.ts"
import { gap, sumLogProb } from "../statistics.ts"

/**
 * Sequence likelihood calibration: the chosen answer has to lead by a margin, and stays likely. There is no reference.
 * **Details** `loss = max(0, delta - (x_w - x_l)) - lambda x_w`, `x = ln policy(y)` in nats, `delta, lambda >= 0`.
 * **Gotchas** The paper's second term is of the target of the fine-tuning set; here that is the chosen answer.
 * **Source** Zhao et al. 2023, arXiv 2305.10425.
 */
export const slicHf = defineReferenceFree("slic-hf", {
  module: import.meta.url,
  description: "Sequence likelihood calibration with human feedback",
  params: { delta: NonNegative.pipe(withDefault(1)), lambda: NonNegative.pipe(withDefault(0.1)) },
  make: ({ delta, lambda }) => ({
    reward: sumLogProb,
    loss: sub(relu(sub(delta, gap(sumLogProb))), mul(sumLogProb("chosen"), lambda))
  })
})
