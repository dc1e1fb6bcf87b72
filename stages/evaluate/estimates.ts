/** Means with intervals, and the text statistics that evaluations report. */
import { average, clusteredEstimate, estimate } from "../../dsl/estimate.ts"

export { average, clusteredEstimate, estimate }

/** How often the first of two scores is the higher one; a tie counts half. */
export const winRate = (ours: ReadonlyArray<number>, theirs: ReadonlyArray<number>): number =>
  average(ours.map((score, i) => (score > theirs[i]! ? 1 : score === theirs[i]! ? 0.5 : 0)))

/** Distinct n-grams of white-space separated words, divided by all n-grams, over a set of texts; 1 where there are none. */
export const distinct = (texts: ReadonlyArray<string>, n: number): number => {
  const seen = new Set<string>()
  let total = 0
  for (const text of texts) {
    const words = text.match(/\S+/g) ?? []
    for (let i = 0; i + n <= words.length; i++) {
      seen.add(words.slice(i, i + n).join(" "))
      total++
    }
  }
  return total === 0 ? 1 : seen.size / total
}
