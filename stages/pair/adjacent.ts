import { PairRule, ranked } from "./PairRule.ts"

/**
 * Each answer over the next one in the ranking that scores less: the comparisons hardest to tell, at most k - 1 of them.
 * **Details** Of answers that tie, the first stands for all of them, so the pairs form one chain from best to worst.
 */
export const adjacent = PairRule.define("adjacent", {
  module: import.meta.url,
  description: "Neighbours in the ranking",
  params: {},
  make: () => ({
    pairs: (completions) => {
      const order = ranked(completions)
      const levels = order.filter((at, i) => i === 0 || completions[at]!.score < completions[order[i - 1]!]!.score)
      return levels.slice(1).map((rejected, i) => [levels[i]!, rejected] as const)
    }
  })
})
