/** What a paper's claim turns into: a measurement on a pipeline's outputs, and what it must satisfy. */
import type { Effect } from "effect"
import type * as Artifact from "./Artifact.ts"
import type * as Node from "./Node.ts"

/** A measured quantity. `interval` is a two-sided confidence interval; absent where the value is exact. */
export interface Measured {
  readonly value: number
  readonly interval?: readonly [low: number, high: number]
  /** What a reader should know besides, in a few words: "the largest of 64 errors, allowed are 1e-9". */
  readonly note?: string
}

/** The values of a pipeline's outputs for one setting of its parameters. */
export type OutputValues<Outputs extends Readonly<Record<string, Node.Any>>> = {
  readonly [K in keyof Outputs]: Outputs[K] extends Node.Node<infer A, any, any> ? Artifact.Value<A> : never
}

/** A claim turned into a measurement: what is run, what is measured of it, and what must hold. */
export interface Check<Outputs extends Readonly<Record<string, Node.Any>> = any> {
  readonly name: string
  readonly kind: "exact" | "statistical"
  /** What must hold, for people: "judge's sentiment rises by more than 0.1 (95 % interval above it)". */
  readonly expected: string
  /** The settings that are run: every combination of the listed parameter values. */
  readonly over: Readonly<Record<string, ReadonlyArray<unknown>>>
  /** The outputs that it looks at: nothing else is run for it. All of them unless told. */
  readonly outputs?: ReadonlyArray<string>
  readonly measure: (
    runs: ReadonlyArray<{ readonly params: Readonly<Record<string, unknown>>; readonly outputs: OutputValues<Outputs> }>
  ) => Effect.Effect<Measured, unknown>
  readonly holds: (measured: Measured) => boolean
  /**
   * Why it does not hold at this scale, where that is known. It is run and told as failing all the same, but nobody is
   * alarmed; once it does hold, the statement is what is wrong.
   */
  readonly knownGap?: string
}

/**
 * Mean of independent measurements (one a seed) with the two-sided 95 % Student t interval. Needs at least two.
 */
export const meanOverSeeds = (values: ReadonlyArray<number>): Measured => {
  const n = values.length
  if (n < 2) throw new RangeError(`an interval needs at least two seeds, got ${n}`)
  const mean = values.reduce((sum, x) => sum + x, 0) / n
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1)
  const half = studentT975(n - 1) * Math.sqrt(variance / n)
  return { value: mean, interval: [mean - half, mean + half] }
}

/** The 97.5 % quantile of Student's t. Table to 10 degrees of freedom, Cornish-Fisher beyond (error below 2e-4). */
export const studentT975 = (degrees: number): number => {
  const table = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622, 2.2281]
  if (degrees <= table.length) return table[degrees - 1]!
  const z = 1.959964
  const [d, z3, z5, z7] = [degrees, z ** 3, z ** 5, z ** 7]
  return (
    z +
    (z3 + z) / (4 * d) +
    (5 * z5 + 16 * z3 + 3 * z) / (96 * d ** 2) +
    (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * d ** 3)
  )
}
