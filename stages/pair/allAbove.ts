import { NonNegative, withDefault } from "../../dsl/Params.ts"
import { PairRule, ranked } from "./PairRule.ts"

/**
 * Every pair of answers whose scores differ by more than `margin`: up to k (k - 1) / 2 pairs of k answers.
 * **Details** From the best answer down, each over the others from best to worst.
 */
export const allAbove = PairRule.define("all-above", {
  module: import.meta.url,
  description: "Every pair of answers that differ enough",
  params: { margin: NonNegative.pipe(withDefault(0)) },
  make: ({ margin }) => ({
    pairs: (completions) => {
      const order = ranked(completions)
      return order.flatMap((chosen, place) =>
        order
          .slice(place + 1)
          .filter((rejected) => completions[chosen]!.score - completions[rejected]!.score > margin)
          .map((rejected) => [chosen, rejected] as const)
      )
    }
  })
})
