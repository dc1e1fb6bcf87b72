import { Schema } from "effect"
import { withDefault } from "../../../dsl/Params.ts"
import { logSoftmax } from "../../../runtime/exact/numbers.ts"
import { collectiveReward, Solutions } from "../Solutions.ts"

/** `exp(r(y)) / Z` of the weighted sum of the world's rewards, whatever the reference: somebody else's answers. */
export const boltzmann = Solutions.define("boltzmann", {
  module: import.meta.url,
  description: "A policy that follows rewards alone",
  params: { weights: Schema.Array(Schema.Finite).pipe(withDefault([1] as ReadonlyArray<number>)) },
  make:
    ({ weights }) =>
    (world, context) =>
      logSoftmax(collectiveReward(world, context, weights))
})
