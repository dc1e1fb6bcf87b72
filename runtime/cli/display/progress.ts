/** How far a running node is, and how it ended, in words. */
import type { Effect } from "effect"
import type { Report } from "../../../dsl/Progress.ts"
import type { Event } from "../../executor/Executor.ts"
import { describe } from "../../executor/errors.ts"
import * as Format from "../format.ts"
import type { Style } from "../Output.ts"

/** Takes the events of a run as they happen. */
export type Listener = (event: Event) => Effect.Effect<void>

/** Many runs that are shown as one: so many nodes between them, of which those served or skipped are counted, not told. */
export interface Many {
  readonly nodes: number
}

export const isTold = (
  { result: { status } }: Extract<Event, { _tag: "NodeEnded" }>,
  many: Many | undefined
): boolean => many === undefined || status === "computed" || status === "failed"

export interface Running {
  readonly id: string
  readonly begun: number
  /** The attempt's first report: a resumed computation does not begin at zero, so rates count from here. */
  readonly first: { readonly at: number; readonly report: Report } | undefined
  readonly last: { readonly at: number; readonly report: Report } | undefined
}

export const begin = (id: string, now: number): Running => ({ id, begun: now, first: undefined, last: undefined })

export const reported = (running: Running, report: Report, now: number): Running => ({
  ...running,
  first: running.first ?? { at: now, report },
  last: { at: now, report }
})

/** Units a second, and milliseconds left, as of the last report; `undefined` where they cannot be told. */
const paceOf = ({ first, last }: Running) => {
  if (first === undefined || last === undefined || last.at <= first.at) return undefined
  const seconds = (last.at - first.at) / 1000
  const { done, tokens, total } = last.report
  const rate = (done - first.report.done) / seconds
  return {
    rate,
    tokens: tokens === undefined ? undefined : (tokens - (first.report.tokens ?? 0)) / seconds,
    left: rate > 0 && total !== undefined && total > done ? ((total - done) * 1000) / rate : undefined
  }
}

/** Milliseconds that the node still needs at the pace that it has; `undefined` where it does not tell. */
export const timeLeft = (running: Running, now: number): number | undefined => {
  const left = paceOf(running)?.left
  return left === undefined ? undefined : Math.max(0, left - (now - running.last!.at))
}

/** `120/400 steps  loss 2.31  lr 8.00e-4  12.0 s  9.80 steps/s  28.6 s left` */
export const describeProgress = (running: Running, now: number): string => {
  const { begun, last } = running
  const elapsed = Format.duration(now - begun)
  if (last === undefined) return elapsed
  const { done, metrics, total, unit } = last.report
  const pace = paceOf(running)
  return [
    `${done}${total === undefined ? "" : `/${total}`} ${unit}`,
    ...shown(metrics ?? {}).slice(0, LEADING),
    elapsed,
    ...(pace !== undefined && pace.rate > 0 ? [`${Format.number(pace.rate)} ${unit}/s`] : []),
    ...(pace?.tokens !== undefined && pace.tokens > 0 ? [`${Format.number(pace.tokens)} tokens/s`] : []),
    ...(pace?.left === undefined ? [] : [`${Format.duration(timeLeft(running, now)!)} left`]),
    ...shown(metrics ?? {}).slice(LEADING)
  ].join("  ")
}

/** Metrics that stand before the times; narrow terminals cut off what comes last. */
const LEADING = 2
const SHORT: Readonly<Record<string, string>> = { learning_rate: "lr" }

const shown = (metrics: Readonly<Record<string, number>>) =>
  Object.entries(metrics).map(([name, value]) => `${SHORT[name] ?? name} ${Format.number(value)}`)

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
