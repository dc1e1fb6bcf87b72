/** Means with intervals. */
import type { Estimate } from "./artifacts.ts"

/**
 * Mean of independent values with the two-sided 95 % normal interval. One value has no spread to estimate: its interval
 * is itself.
 */
export const estimate = (values: ReadonlyArray<number>): Estimate => {
  const count = values.length
  if (count === 0) throw new RangeError("an estimate needs at least one value")
  const mean = average(values)
  const variance = count < 2 ? 0 : values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (count - 1)
  const half = 1.959964 * Math.sqrt(variance / count)
  return { mean, low: mean - half, high: mean + half, count }
}

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

export const average = (values: ReadonlyArray<number>): number => values.reduce((sum, x) => sum + x, 0) / values.length
