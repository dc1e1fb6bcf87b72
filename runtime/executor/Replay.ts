/** Serves a finished run again from its journal and the store. No stage executes and no code is looked at. */
import { Effect, Schema } from "effect"
import * as Journal from "../store/Journal.ts"
import { Store } from "../store/Store.ts"
import type { NodeResult, RunResult } from "./Executor.ts"

/** A run cannot be replayed: it did not finish, or some of its artifacts are gone. */
export class ReplayIncomplete extends Schema.TaggedError<ReplayIncomplete>()("ReplayIncomplete", {
  run: Schema.String,
  missing: Schema.Array(Schema.Struct({ node: Schema.String, problem: Schema.String }))
}) {
  override get message() {
    const nodes = this.missing.map(({ node, problem }) => `${node}: ${problem}`).join("; ")
    return `run ${this.run} cannot be replayed (${nodes}); run the pipeline again to make what is missing`
  }
}

/** The result of run `id` as it was, every artifact checked against its digest. */
export const replay = Effect.fn("Replay.replay")(function* (id: string) {
  const store = yield* Store
  const record = yield* Journal.summarize(store.root, id)
  const missing: Array<{ readonly node: string; readonly problem: string }> = []
  const nodes: Array<NodeResult> = []
  for (const { id: node, stage } of record.nodes) {
    const finished = record.finished.get(node)
    if (finished === undefined) {
      missing.push({ node, problem: "was not finished" })
      continue
    }
    const state = yield* store.inspect(finished.output)
    if (state !== "intact") missing.push({ node, problem: `its artifact is ${state}` })
    nodes.push({ id: node, stage, key: finished.key, status: "cached", ms: 0, output: finished.output })
  }
  if (missing.length > 0) return yield* new ReplayIncomplete({ run: id, missing })
  const outputs = Object.fromEntries(
    Object.entries(record.outputs).map(([name, node]) => [name, record.finished.get(node)?.output])
  )
  const result: RunResult = { run: id, pipeline: record.pipeline, status: "succeeded", nodes, outputs }
  return result
})
