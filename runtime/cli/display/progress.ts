/** How far a running node is, and how it ended, in words. */
import type { Effect } from "effect"
import type { Report } from "../../../dsl/Progress.ts"
import type { Event } from "../../executor/Executor.ts"
import { describe } from "../../executor/errors.ts"
import * as Format from "../format.ts"
import type { Style } from "../Output.ts"

/** Takes the events of a run as they happen. */
export type Listener = (event: Event) => Effect.Effect<void>

export interface Running {
  readonly id: string
  readonly begun: number
  /** The attempt's first report: a resumed computation does not begin at zero, so rates count from here. */
  readonly first: { readonly at: number; readonly done: number } | undefined
  readonly last: Report | undefined
}

export const begin = (id: string, now: number): Running => ({ id, begun: now, first: undefined, last: undefined })

export const reported = (running: Running, report: Report, now: number): Running => ({
  ...running,
  first: running.first ?? { at: now, done: report.done },
  last: report
})

/** `120/400 steps  loss 2.31  12.0 s  9.8 steps/s  28.6 s left` */
export const describeProgress = ({ begun, first, last }: Running, now: number): string => {
  const elapsed = Format.duration(now - begun)
  if (last === undefined || first === undefined) return elapsed
  const { done, metrics, total, unit } = last
  const rate = now > first.at ? ((done - first.done) * 1000) / (now - first.at) : 0
  return [
    `${done}${total === undefined ? "" : `/${total}`} ${unit}`,
    ...Object.entries(metrics ?? {}).map(([name, value]) => `${name} ${Format.number(value)}`),
    elapsed,
    ...(rate > 0 ? [`${Format.number(rate)} ${unit}/s`] : []),
    ...(rate > 0 && total !== undefined && total > done
      ? [`${Format.duration(((total - done) * 1000) / rate)} left`]
      : [])
  ].join("  ")
}

/** The line that stays when a node has ended. */
export const ended = ({ failure, result }: Extract<Event, { _tag: "NodeEnded" }>, style: Style): string => {
  const { id, ms, status } = result
  switch (status) {
    case "computed":
      return `${style.green("✓")} ${id}  computed ${Format.duration(ms)}`
    case "cached":
      return style.dim(`= ${id}  cached`)
    case "failed":
      return `${style.red("✗")} ${id}  failed after ${Format.duration(ms)}: ${said(describe(failure?.cause))}`
    case "skipped":
      return style.yellow(`- ${id}  skipped: an input was not made`)
  }
}

export const retried = ({ attempt, error, node }: Extract<Event, { _tag: "NodeRetried" }>, style: Style): string =>
  style.yellow(`! ${node}  attempt ${attempt} failed, trying again: ${said(error)}`)

export const started = ({ graph, run }: Extract<Event, { _tag: "Started" }>, style: Style): string =>
  style.dim(`run ${run}: ${Format.count(graph.nodes.length, "node")}`)

const said = (error: string) => Format.oneLine(Format.visible(error), 200)
