import * as Games from "../../../runtime/exact/games.ts"
import { preferencesOf } from "../population.ts"
import { Solutions, type Solve, seesNoNames } from "../Solutions.ts"

const solve: Solve = (world, context) => {
  const preferences = preferencesOf(world, context)
  if (preferences === undefined) throw new RangeError("the world has no preferences")
  return Games.nash(preferences).map((p) => (p > 0 ? Math.log(p) : -700))
}

/** The Nash policy of the game in which the preferred answer wins: no answer beats it more than half of the time. */
export const nash = Solutions.define("nash", {
  module: import.meta.url,
  description: "The Nash policy of the preference game",
  params: {},
  make: () => solve,
  laws: [seesNoNames(solve)]
})
