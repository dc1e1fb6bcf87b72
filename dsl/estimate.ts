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

export const average = (values: ReadonlyArray<number>): number => values.reduce((sum, x) => sum + x, 0) / values.length
