import { Schema } from "effect"
import * as Law from "../../../dsl/Law.ts"
import { withDefault } from "../../../dsl/Params.ts"
import { logSoftmax } from "../../../runtime/exact/numbers.ts"
import { Bandits, close } from "../generated.ts"
import { collectiveReward, Solutions, type Solve, seesNoNames } from "../Solutions.ts"

const solve =
  (weights: ReadonlyArray<number>): Solve =>
  (world, context) =>
    logSoftmax(collectiveReward(world, context, weights))

/** `exp(r(y)) / Z` of the weighted sum of the world's rewards, whatever the reference: somebody else's answers. */
export const boltzmann = Solutions.define("boltzmann", {
  module: import.meta.url,
  description: "A policy that follows rewards alone",
  params: { weights: Schema.Array(Schema.Finite).pipe(withDefault([1] as ReadonlyArray<number>)) },
  make: ({ weights }) => solve(weights),
  laws: [
    seesNoNames(solve([1])),
    Law.make("differs in log-probabilities as rewards do, by their weight", Bandits, ({ world }) => {
      const rewards = world.rewards![0]![0]!
      const found = Array.from(solve([-2])(world, 0, new Float64Array(rewards.length)))
      return found.every((value, y) => close(value - found[0]!, -2 * (rewards[y]! - rewards[0]!)))
    })
  ]
})
