/** Results of a sweep: for each metric its mean over seeds, with an interval, at every swept setting. */
import type { Estimate, Evaluation } from "../../dsl/artifacts.ts"
import { meanOverSeeds } from "../../dsl/Check.ts"
import * as Settings from "./settings.ts"

/** One evaluation of a run, under the name of its output (or of its node, where it is none). */
export interface Evaluated {
  readonly name: string
  readonly node: string
  readonly evaluation: Evaluation
}

/** A mean with a two-sided 95 % interval: over seeds where there are several, else the evaluation's own. */
export interface Result {
  readonly mean: number
  readonly interval: readonly [number, number] | undefined
  /** How many seeds it is over. */
  readonly seeds: number
}

export interface Row {
  readonly setting: Settings.Setting
  /** By metric; metrics that an evaluation at this setting lacks are absent. */
  readonly results: Readonly<Record<string, Result>>
}

/** All settings of one output of a sweep. */
export interface Sweep {
  readonly output: string
  /** The swept parameters other than the seed. */
  readonly swept: ReadonlyArray<string>
  readonly metrics: ReadonlyArray<string>
  readonly rows: ReadonlyArray<Row>
  readonly seeds: number
}

/** Whether an output of this name is one of a sweep. */
export const isSwept = (name: string): boolean => Object.keys(Settings.parse(name).setting).length > 0

/** The sweeps among a run's evaluations, one for each output that was evaluated under several settings. */
export const gather = (evaluations: ReadonlyArray<Evaluated>): ReadonlyArray<Sweep> => {
  const members = evaluations.flatMap(({ evaluation, name }) => {
    const { output, setting } = Settings.parse(name)
    return Object.keys(setting).length === 0 ? [] : [{ evaluation, output, setting }]
  })
  const sweeps = [...Map.groupBy(members, ({ output }) => output)].map(([output, group]) => sweepOf(output, group))
  return sweeps.toSorted((a, b) => Number(b.rows.length > 1) - Number(a.rows.length > 1))
}

interface Member {
  readonly evaluation: Evaluation
  readonly setting: Settings.Setting
}

const sweepOf = (output: string, members: ReadonlyArray<Member>): Sweep => {
  const groups = Map.groupBy(members, ({ setting }) => Settings.toText(Settings.withoutSeed(setting)))
  const all = [...groups.values()].map((group): Row => {
    const metrics = new Set(group.flatMap(({ evaluation }) => Object.keys(evaluation.estimates)))
    const resultsOf = (metric: string) =>
      resultOf(group.flatMap(({ evaluation }) => evaluation.estimates[metric] ?? []))
    return {
      setting: Settings.withoutSeed(group[0]!.setting),
      results: Object.fromEntries([...metrics].map((metric) => [metric, resultsOf(metric)]))
    }
  })
  // What no setting touches is one result, not many.
  const isSame = all.every(({ results }) => JSON.stringify(results) === JSON.stringify(all[0]!.results))
  const rows = isSame ? [{ ...all[0]!, setting: all.length > 1 ? {} : all[0]!.setting }] : all
  return {
    output,
    swept: [...new Set(rows.flatMap(({ setting }) => Object.keys(setting)))],
    metrics: metricsOf(rows),
    rows: rows.toSorted((a, b) => Settings.bySetting(a.setting, b.setting)),
    seeds: Math.max(...[...groups.values()].map(({ length }) => length))
  }
}

const resultOf = (estimates: ReadonlyArray<Estimate>): Result => {
  const seeds = estimates.length
  if (seeds < 2) {
    const [{ high, low, mean }] = estimates as [Estimate]
    return { mean, interval: low === high ? undefined : [low, high], seeds }
  }
  const { interval, value } = meanOverSeeds(estimates.map(({ mean }) => mean))
  return { mean: value, interval: interval!, seeds }
}

/** What a sweep is read for first, then the rest as it comes. */
const FIRST = ["reward/gain", "judge/gain", "win_rate", "judge/win_rate", "kl", "rewards/accuracies", "value"]

const metricsOf = (rows: ReadonlyArray<Row>): ReadonlyArray<string> => {
  const all = [...new Set(rows.flatMap(({ results }) => Object.keys(results)))]
  const rank = (metric: string) => (FIRST.includes(metric) ? FIRST.indexOf(metric) : FIRST.length)
  return all.toSorted((a, b) => rank(a) - rank(b))
}
