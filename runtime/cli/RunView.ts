/** Runs as their journals tell them, for people to look at, and how to find one. */
import { Effect, Option, Schema } from "effect"
import { Name } from "../../dsl/Params.ts"
import type { ArtifactRef } from "../store/ArtifactRef.ts"
import * as Journal from "../store/Journal.ts"
import { RunId } from "../store/RunEvent.ts"
import { Store } from "../store/Store.ts"

export interface NodeView {
  readonly id: string
  readonly stage: string
  /** Input name -> node. */
  readonly inputs: Readonly<Record<string, string>>
  readonly status: "computed" | "cached" | "failed" | "skipped" | "unfinished"
  readonly key: string | undefined
  readonly ms: number | undefined
  readonly output: ArtifactRef | undefined
  readonly error: string | undefined
}

export interface RunView extends Omit<Journal.Record, "nodes" | "finished"> {
  readonly nodes: ReadonlyArray<NodeView>
  readonly ms: number | undefined
}

/** Nothing in the store matches what was asked for. */
export class RunMissing extends Schema.TaggedError<RunMissing>()("RunMissing", {
  asked: Schema.optionalKey(Schema.String),
  root: Schema.String,
  pipelines: Schema.Array(Schema.String)
}) {
  override get message() {
    if (this.pipelines.length === 0) return `the store in ${this.root} has no runs`
    return `${this.root} has no run of a pipeline ${JSON.stringify(this.asked)}; it has runs of ${this.pipelines.join(", ")}`
  }
}

/** Not so many runs as `~n` asks to go back. */
export class RunsFewer extends Schema.TaggedError<RunsFewer>()("RunsFewer", {
  asked: Schema.String,
  runs: Schema.Int
}) {
  override get message() {
    return `there is no run ${this.asked}: the store has ${this.runs}, the oldest is ~${this.runs - 1}`
  }
}

/**
 * The id of a run: itself, the newest of a pipeline given by name, or the newest of all; `~n` behind the name (or alone)
 * is the n-th before that.
 */
export const findId = Effect.fn("RunView.findId")(function* (asked: Option.Option<string>) {
  const { root } = yield* Store
  if (Option.isSome(asked) && Schema.is(RunId)(asked.value)) return asked.value
  const [, name = "", back = "0"] = /^([^~]*)(?:~(\d{1,6}))?$/.exec(Option.getOrElse(asked, () => "")) ?? []
  if (Option.isSome(asked) && !Schema.is(Name)(name) && !/^~\d{1,6}$/.test(asked.value)) {
    return yield* new Journal.RunIdInvalid({ run: asked.value })
  }
  const runs = yield* Journal.list(root)
  const found = runs.filter(({ pipeline }) => name === "" || name === pipeline)
  const wanted = found[Number(back)]
  if (wanted !== undefined) return wanted.run
  if (found.length > 0) return yield* new RunsFewer({ asked: Option.getOrElse(asked, () => ""), runs: found.length })
  const pipelines = [...new Set(runs.map(({ pipeline }) => pipeline))]
  return yield* new RunMissing({ root, pipelines, ...(Option.isSome(asked) ? { asked: asked.value } : {}) })
})

export const load = Effect.fn("RunView.load")(function* (run: string) {
  const { root } = yield* Store
  const { finished: _, nodes, ...record } = yield* Journal.summarize(root, run)
  const events = yield* Journal.read(root, run)
  const ended = events.findLast((event) => event._tag === "RunFinished")
  const last = new Map(events.flatMap((event) => ("node" in event ? [[event.node, event] as const] : [])))
  const view: RunView = { ...record, ms: ended?.ms, nodes: nodes.map((node) => nodeView(node, last.get(node.id))) }
  return view
})

const nodeView = (
  { id, inputs, stage }: Journal.Record["nodes"][number],
  last: Journal.RunEvent | undefined
): NodeView => {
  const about = { id, inputs, stage }
  const none = { key: undefined, ms: undefined, output: undefined, error: undefined }
  switch (last?._tag) {
    case "NodeFinished": {
      const { key, ms, output, status } = last
      return { ...about, ...none, status, key, ms, output }
    }
    case "NodeFailed":
      return { ...about, ...none, status: "failed", ms: last.ms, error: last.error.message }
    case "NodeSkipped":
      return { ...about, ...none, status: "skipped", error: `for want of ${last.because.join(", ")}` }
    default:
      return { ...about, ...none, status: "unfinished" }
  }
}
