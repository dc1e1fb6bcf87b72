import { Schema } from "effect"
import { Positive, withDefault } from "../../../dsl/Params.ts"
import * as Bandit from "../../../runtime/exact/bandit.ts"
import { collectiveReward, Solutions, type Solve, seesNoNames } from "../Solutions.ts"

const solve =
  ({ beta, weights }: { readonly beta: number; readonly weights: ReadonlyArray<number> }): Solve =>
  (world, context, logReference) =>
    Bandit.klOptimum(logReference, collectiveReward(world, context, weights), beta).logPolicy

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
  make: solve,
  laws: [seesNoNames(solve({ beta: 0.5, weights: [1] }))]
})
