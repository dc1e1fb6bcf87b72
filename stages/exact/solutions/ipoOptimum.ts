import { Schema } from "effect"
import { NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import { logSoftmax } from "../../../runtime/exact/numbers.ts"
import { preferencesOf } from "../population.ts"
import { Solutions, type Solve, seesNoNames } from "../Solutions.ts"

const solve =
  ({ mu, tau }: { readonly mu?: ReadonlyArray<number>; readonly tau: number }): Solve =>
  (world, context, logReference) => {
    const preferences = preferencesOf(world, context)
    if (preferences === undefined) throw new RangeError("the world has no preferences")
    const weights = mu ?? Array.from(logReference, () => 1)
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    const wins = Array.from(logReference, (_, y) =>
      weights.reduce((sum, weight, z) => sum + (weight / total) * preferences[y]![z]!, 0)
    )
    return logSoftmax(Array.from(logReference, (l, y) => l + wins[y]! / tau))
  }

/**
 * `reference(y) exp(E_{z ~ mu} P(y > z) / tau) / Z`, of any preferences: where IPO's population loss is 0 in its gradient, if
 * both answers of a pair are drawn from `mu` (uniform unless given).
 * **Source** Azar et al. 2023, arXiv 2310.12036, eq. 8 and theorem 2.
 */
export const ipoOptimum = Solutions.define("ipo-optimum", {
  module: import.meta.url,
  description: "The optimum of win rate less tau times KL",
  params: { tau: Positive.pipe(withDefault(0.1)), mu: Schema.optionalKey(Schema.Array(NonNegative)) },
  make: solve,
  laws: [seesNoNames(solve({ tau: 0.5 }))]
})
