import { Schema } from "effect"
import { Positive, withDefault } from "../../../dsl/Params.ts"
import * as Bandit from "../../../runtime/exact/bandit.ts"
import { collectiveReward, Solutions } from "../Solutions.ts"

/**
 * `reference(y) exp(r(y) / beta) / Z`: what maximizes `E r - beta KL(policy || reference)`, of the weighted sum of the
 * world's rewards. **Source** Rafailov et al. 2023, arXiv 2305.18290, eq. 4.
 */
export const klOptimum = Solutions.define("kl-optimum", {
  module: import.meta.url,
  description: "The optimum of reward less beta times KL",
  params: {
    beta: Positive.pipe(withDefault(0.1)),
    weights: Schema.Array(Schema.Finite).pipe(withDefault([1] as ReadonlyArray<number>))
  },
  make:
    ({ beta, weights }) =>
    (world, context, logReference) =>
      Bandit.klOptimum(logReference, collectiveReward(world, context, weights), beta).logPolicy
})
