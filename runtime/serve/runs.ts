/** What is shown of the runs of a store, as data. */
import { Effect, Schema } from "effect"
import { EvaluationReport } from "../../dsl/artifacts.ts"
import * as Journal from "../store/Journal.ts"
import { RunId } from "../store/RunEvent.ts"
import { Store } from "../store/Store.ts"
import * as Follow from "./follow.ts"
import { Refused } from "./guard.ts"

export interface Metric {
  readonly name: string
  readonly mean: number
  readonly low: number
  readonly high: number
}

/** A run in the list. */
export interface Listed extends Omit<Journal.Summary, "status"> {
  readonly status: Follow.Status
  readonly metrics: ReadonlyArray<Metric>
}

/** Runs that are listed, the newest first. */
const MOST = 200

export const list = Effect.fn("serve.list")(function* () {
  const { root } = yield* Store
  const summaries = yield* Journal.list(root)
  const runs = yield* Effect.forEach(
    summaries.slice(0, MOST),
    Effect.fnUntraced(function* (summary) {
      const status = summary.status === "unfinished" ? yield* Follow.statusNow(root, summary.run) : summary.status
      const metrics = status === "succeeded" ? yield* keyMetrics(summary.run) : []
      const listed: Listed = { ...summary, status, metrics }
      return listed
    })
  )
  return { runs, left: Math.max(0, summaries.length - MOST) }
})

/** How many metrics stand for a run where many are listed. */
const KEY = 3

/** Evaluations of a run that are looked through for one that measures a gain. */
const LOOKED = 16

/** Estimates of a finished run's first evaluation of a gain, else of its first. They never change, so they are kept. */
const keyMetrics = Effect.fnUntraced(
  function* (run: string) {
    const store = yield* Store
    const path = `${store.root}/${run}`
    const before = kept.get(path)
    if (before !== undefined) return before
    const { finished, outputs } = yield* Journal.summarize(store.root, run)
    const evaluations = [...new Set(Object.values(outputs))].flatMap((node) => {
      const output = finished.get(node)?.output
      return output?.artifact === EvaluationReport.name ? [output] : []
    })
    let metrics: ReadonlyArray<Metric> = []
    for (const output of evaluations.slice(0, LOOKED)) {
      const { estimates } = yield* store.read(EvaluationReport, output)
      const measured = Object.entries(estimates).map(([name, { high, low, mean }]) => ({ name, mean, low, high }))
      const isGain = measured.some(({ name }) => rank(name) === 0)
      if (isGain || metrics.length === 0) metrics = measured
      if (isGain) break
    }
    const first = metrics.toSorted((a, b) => rank(a.name) - rank(b.name)).slice(0, KEY)
    if (kept.size >= MOST * 4) kept.clear()
    kept.set(path, first)
    return first
  },
  Effect.catch(() => Effect.succeed<ReadonlyArray<Metric>>([]))
) // an output that is gone: its page says so

const kept = new Map<string, ReadonlyArray<Metric>>()

/** What a run is about comes first. */
const rank = (name: string) => {
  const at = [/gain$/, /^kl/, /accura/, /win/].findIndex((pattern) => pattern.test(name))
  return at < 0 ? Number.POSITIVE_INFINITY : at
}

export interface NodeState {
  readonly id: string
  readonly stage: string
  readonly inputs: Readonly<Record<string, string>>
  readonly status: "computed" | "cached" | "failed" | "skipped" | "running" | "waiting"
  readonly ms: number | undefined
  readonly error: string | undefined
}

/** A run at a moment, and the place in its files from which its news follow. */
export interface Snapshot {
  readonly started: Extract<Journal.RunEvent, { _tag: "RunStarted" }>
  readonly status: Follow.Status
  readonly ms: number | undefined
  readonly nodes: ReadonlyArray<NodeState>
  readonly events: ReadonlyArray<Journal.RunEvent>
  readonly place: Follow.Place
}

/** The run that a path names; whatever is no run is not found. */
export const snapshot = Effect.fn("serve.snapshot")(function* (run: string) {
  const { root } = yield* Store
  if (!Schema.is(RunId)(run)) return yield* new Refused({ status: 404, problem: "There is no such run." })
  // For its errors: a damaged journal is told as such.
  yield* Journal.read(root, run)
  const { events, place, status } = yield* Follow.since(root, run, Follow.START)
  const started = events.find((event) => event._tag === "RunStarted")
  if (started === undefined) return yield* new Refused({ status: 404, problem: "The run has not begun yet." })
  const ended = events.findLast((event) => event._tag === "RunFinished")
  const last = new Map(events.flatMap((event) => ("node" in event ? [[event.node, event] as const] : [])))
  const isOver = status !== "running" && status !== "unfinished"
  const nodes = started.nodes.map((node) => ({ ...node, ...stateOf(last.get(node.id), isOver) }))
  // The journal is all there; the points of curves follow from their beginning.
  const found: Snapshot = { started, status, ms: ended?.ms, nodes, events, place: { ...place, progress: 0 } }
  return found
})

const stateOf = (last: Journal.RunEvent | undefined, isOver: boolean): Pick<NodeState, "status" | "ms" | "error"> => {
  switch (last?._tag) {
    case "NodeFinished":
      return { status: last.status, ms: last.ms, error: undefined }
    case "NodeFailed":
      return { status: "failed", ms: last.ms, error: last.error.message }
    case "NodeSkipped":
      return { status: "skipped", ms: undefined, error: `for want of ${last.because.join(", ")}` }
    case "NodeStarted":
    case "NodeRetried":
      return { status: isOver ? "waiting" : "running", ms: undefined, error: undefined }
    default:
      return { status: "waiting", ms: undefined, error: undefined }
  }
}
