/** What two evaluations measured, side by side. */
import type { Estimate, Evaluation } from "../../dsl/artifacts.ts"
import { clusteredEstimate } from "../../dsl/estimate.ts"

/** A change and its two-sided 95 % interval. */
export interface Comparable {
  readonly mean: number
  readonly low: number
  readonly high: number
}

export interface MetricChange {
  /** The node that measured it, as A calls it. */
  readonly node: string
  readonly metric: string
  readonly a: Estimate | null
  readonly b: Estimate | null
  /** B less A; null where one of them did not measure it. */
  readonly change: Comparable | null
  /**
   * `identical`: the same artifact, so that nothing changed. `paired`: the mean of the changes prompt by prompt, which both
   * have values of. `unpaired`: from the two intervals as if their items were independent, which is too wide where both
   * are over the same prompts. `point`: neither has an interval.
   */
  readonly method: "identical" | "paired" | "unpaired" | "point" | null
}

/** Every metric that one of them has, in A's order, then those that B alone has. */
export const metricChanges = (
  node: string,
  a: Evaluation,
  b: Evaluation,
  identical: boolean
): ReadonlyArray<MetricChange> =>
  [...new Set([...Object.keys(a.estimates), ...Object.keys(b.estimates)])].map((metric) => {
    const [left, right] = [estimateOf(a, metric), estimateOf(b, metric)]
    if (left === null || right === null) return { node, metric, a: left, b: right, change: null, method: null }
    const found = identical ? undefined : paired(a, b, metric)
    if (found === undefined) return { node, metric, a: left, b: right, ...difference(left, right, identical) }
    const { high, low, mean } = found
    return { node, metric, a: left, b: right, change: { mean, low, high }, method: "paired" }
  })

/** B less A by prompt, where both tell as many values of the same prompts; several of a prompt in their order. */
const paired = (a: Evaluation, b: Evaluation, metric: string): Estimate | undefined => {
  const [before, after] = [valuesOf(a, metric), valuesOf(b, metric)]
  if (before === undefined || after === undefined || before.size !== after.size) return undefined
  const changes = [...before].flatMap(([prompt, values]) => {
    const others = after.get(prompt) ?? []
    if (others.length !== values.length) return [{ prompt, change: Number.NaN }]
    return values.map((value, i) => ({ prompt, change: others[i]! - value }))
  })
  if (changes.length === 0 || changes.some(({ change }) => !Number.isFinite(change))) return undefined
  return clusteredEstimate(
    changes.map(({ change }) => change),
    changes.map(({ prompt }) => prompt)
  )
}

const valuesOf = ({ byPrompt }: Evaluation, metric: string): ReadonlyMap<string, ReadonlyArray<number>> | undefined => {
  if (byPrompt === undefined || !Object.hasOwn(byPrompt.values, metric)) return undefined
  const { prompts, values } = byPrompt
  if (values[metric]!.length !== prompts.length) return undefined
  const found = new Map<string, Array<number>>()
  for (const [i, prompt] of prompts.entries()) found.set(prompt, [...(found.get(prompt) ?? []), values[metric]![i]!])
  return found
}

const estimateOf = ({ estimates }: Evaluation, metric: string): Estimate | null =>
  Object.hasOwn(estimates, metric) ? estimates[metric]! : null

/** Half-widths of independent normal intervals add as their squares do. */
const difference = (
  a: Estimate,
  b: Estimate,
  identical: boolean
): { readonly change: Comparable; readonly method: MetricChange["method"] } => {
  if (identical) return { change: { mean: 0, low: 0, high: 0 }, method: "identical" }
  const mean = b.mean - a.mean
  const half = Math.hypot((a.high - a.low) / 2, (b.high - b.low) / 2)
  return { change: { mean, low: mean - half, high: mean + half }, method: half === 0 ? "point" : "unpaired" }
}
