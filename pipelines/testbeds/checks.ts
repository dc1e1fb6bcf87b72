/** The forms that checks take, whatever the testbed: bounds on what runs came to, exactly or over seeds. */
import { Effect } from "effect"
import type { Evaluation } from "../../dsl/artifacts.ts"
import * as Check from "../../dsl/Check.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"

/** One setting that was run. */
export interface Run {
  readonly params: Readonly<Record<string, unknown>>
  readonly outputs: any
}

/** What all forms say of themselves. */
export interface About {
  readonly name: string
  /** For people: what is measured, and the bound. */
  readonly expected: string
  /** The settings; one with all defaults unless told, the seeds 0, 1 and 2 for statistical checks. */
  readonly over?: Check.Check["over"]
  /** The outputs that are looked at. */
  readonly outputs: ReadonlyArray<string>
  /** Why it does not hold at this scale, where that is known. */
  readonly knownGap?: string
}

/** The mean of an estimate of an evaluation: `estimate("report", "kl")`. */
export const estimate =
  (output: string, name: string) =>
  (run: Run): number => {
    const found = (run.outputs[output] as Evaluation).estimates[name]
    if (found === undefined) throw new RangeError(`the evaluation ${output} has no estimate ${name}`)
    return found.mean
  }

/** The difference of two measurements of one run. */
export const difference =
  (a: (run: Run) => number, b: (run: Run) => number) =>
  (run: Run): number =>
    a(run) - b(run)

/** One number a setting. */
type EachRun = { readonly value: (run: Run) => number }
/** Numbers of all settings together, e.g. one for each seed. */
type Together = { readonly values: (runs: ReadonlyArray<Run>) => ReadonlyArray<number> }
export type Measure = EachRun | Together

const valuesOf = (measure: Measure, runs: ReadonlyArray<Run>) =>
  "values" in measure ? measure.values(runs) : runs.map(measure.value)

type Bound = { readonly above: number } | { readonly below: number }

const within = (bound: Bound) => (value: number) => ("above" in bound ? value > bound.above : value < bound.below)

/** An exact check: every number lies on the right side of the bound. What is shown is the worst one. */
export const exact = ({ over = {}, ...about }: About & Measure & Bound): Check.Check => ({
  ...described(about),
  kind: "exact",
  over,
  measure: (runs) =>
    Effect.sync(() => {
      const values = valuesOf(about, runs)
      return { value: "above" in about ? Math.min(...values) : Math.max(...values) }
    }),
  holds: ({ value }) => within(about)(value)
})

/** A statistical check: the mean over seeds lies on the right side of the bound with its whole 95 % interval. */
export const onAverage = ({ over = seeds(3), ...about }: About & Measure & Bound): Check.Check => ({
  ...described(about),
  kind: "statistical",
  over,
  measure: (runs) => Effect.sync(() => Check.meanOverSeeds(valuesOf(about, runs))),
  holds: ({ interval }) => interval?.every(within(about)) === true
})

/** A statistical check: every seed lies on the right side of the bound. The interval is the range of the seeds. */
export const inEverySeed = ({ over = seeds(3), ...about }: About & Measure & Bound): Check.Check => ({
  ...described(about),
  kind: "statistical",
  over,
  measure: (runs) =>
    Effect.sync(() => {
      const values = valuesOf(about, runs)
      const value = values.reduce((sum, x) => sum + x, 0) / values.length
      return { value, interval: [Math.min(...values), Math.max(...values)] as const, note: "range of the seeds" }
    }),
  holds: ({ interval }) => interval?.every(within(about)) === true
})

/** A statistical check: the mean over seeds lies on the right side of the bound, wherever its interval, which is shown, ends. */
export const inMean = (about: About & Measure & Bound): Check.Check => ({
  ...onAverage(about),
  holds: ({ value }) => within(about)(value)
})

/** A statistical check: one number of all seeds together, such as in how many of them something is so. */
export const together = ({
  note,
  of,
  over = seeds(3),
  ...about
}: About & Bound & { readonly of: (runs: ReadonlyArray<Run>) => number; readonly note?: string }): Check.Check => ({
  ...described(about),
  kind: "statistical",
  over,
  measure: (runs) => Effect.sync(() => ({ value: of(runs), note: note ?? `of ${runs.length} runs together` })),
  holds: ({ value }) => within(about)(value)
})

/** In how many runs the first measurement lies above the second. */
export const higherIn = (higher: (run: Run) => number, lower: (run: Run) => number) => (runs: ReadonlyArray<Run>) =>
  runs.filter((run) => higher(run) > lower(run)).length

/** Student's t of the mean against 0: the mean in its standard errors. */
export const studentT = (values: ReadonlyArray<number>): number => {
  const mean = average(values)
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (values.length - 1)
  return mean / Math.sqrt(variance / values.length)
}

export const average = (values: ReadonlyArray<number>): number => values.reduce((sum, x) => sum + x, 0) / values.length

export const seeds = (count: number): Check.Check["over"] => ({ seed: Pipeline.Seeds(count) })

const described = ({ expected, knownGap, name, outputs }: About) => ({
  name,
  expected,
  outputs,
  ...(knownGap === undefined ? {} : { knownGap })
})
