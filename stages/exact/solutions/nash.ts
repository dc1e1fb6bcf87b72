import * as Law from "../../../dsl/Law.ts"
import * as Games from "../../../runtime/exact/games.ts"
import { Bandits } from "../generated.ts"
import { preferencesOf } from "../population.ts"
import { Solutions, type Solve } from "../Solutions.ts"

const solve = ((world, context) => {
  const preferences = preferencesOf(world, context)
  if (preferences === undefined) throw new RangeError("the world has no preferences")
  return Games.nash(preferences).map((p) => (p > 0 ? Math.log(p) : -700))
}) satisfies Solve

/** The Nash policy of the game in which the preferred answer wins: no answer beats it more than half of the time. */
export const nash = Solutions.define("nash", {
  module: import.meta.url,
  description: "The Nash policy of the preference game",
  params: {},
  make: () => solve,
  // Where responses tie there is more than one: which of them is found may depend on their order.
  laws: [
    Law.make("no answer beats it more than half of the time", Bandits, ({ world }) =>
      world.rewards![0]!.every((_, context) => {
        const policy = solve(world, context).map(Math.exp)
        return Games.exploitability(preferencesOf(world, context)!, policy) < 1e-6
      })
    )
  ]
})
