import { PairRule, ranked } from "./PairRule.ts"

/**
 * One pair of a prompt: its best answer over its worst, the first of each where several tie.
 * **Details** A prompt whose answers all score the same gives none.
 * **Source** The on-policy recipe of SimPO (arXiv 2405.14734) and many others.
 */
export const bestWorst = PairRule.define("best-worst", {
  module: import.meta.url,
  description: "The best answer over the worst",
  params: {},
  make: () => ({
    pairs: (completions) => {
      const [best] = ranked(completions)
      if (best === undefined) return []
      const lowest = completions.reduce((low, { score }) => Math.min(low, score), Number.POSITIVE_INFINITY)
      const worst = completions.findIndex(({ score }) => score === lowest)
      return completions[best]!.score > lowest ? [[best, worst]] : []
    }
  })
})
