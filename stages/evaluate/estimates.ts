/** Means with intervals, and the text statistics that evaluations report. */
import type { Estimate } from "../../dsl/artifacts.ts"
import { average, estimate } from "../../dsl/estimate.ts"

export { average, estimate }

/**
 * Mean of values that come in clusters (the pairs of one prompt), of which only the clusters are independent: every value
 * counts the same, and the interval grows with what the values of a cluster have in common. That of `estimate` where
 * each value is a cluster of its own.
 * **Source** Liang and Zeger 1986, the sandwich estimate for a mean, times `clusters / (clusters - 1)`.
 */
export const clusteredEstimate = (values: ReadonlyArray<number>, clusters: ReadonlyArray<string>): Estimate => {
  const { count, mean } = estimate(values)
  const residuals = new Map<string, number>()
  for (const [i, x] of values.entries()) residuals.set(clusters[i]!, (residuals.get(clusters[i]!) ?? 0) + x - mean)
  const independent = residuals.size
  const squares = [...residuals.values()].reduce((sum, residual) => sum + residual ** 2, 0)
  const variance = independent < 2 ? 0 : (squares * independent) / (independent - 1)
  const half = (1.959964 * Math.sqrt(variance)) / count
  return { mean, low: mean - half, high: mean + half, count }
}

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
