/**
 * A node's execution described as data: enough for any process that can import the pipeline's module and reach the
 * store to do the work. Dispatchers decide who does it.
 */
import { Context, type Effect, Schema } from "effect"
import { Index } from "../../dsl/Params.ts"
import { ArtifactRef } from "../store/ArtifactRef.ts"

export const Task = Schema.Struct({
  /** How to get the pipeline: a module and the name of the export that holds it. */
  pipeline: Schema.Struct({ name: Schema.String, module: Schema.String, export: Schema.String }),
  /** The pipeline's encoded parameters, the seed among them. */
  params: Schema.JsonObject,
  /** The node's id in the graph that those parameters build. */
  node: Schema.String,
  key: Schema.String,
  inputs: Schema.Record(Schema.String, ArtifactRef),
  attempt: Index
})
export type Task = typeof Task.Type

/**
 * Runs a task: in this process (`here`), or somewhere else that leads to the same artifact in the same store. The
 * default runs it here.
 */
export const Dispatcher = Context.Reference<{
  readonly dispatch: <E, R>(task: Task, here: Effect.Effect<ArtifactRef, E, R>) => Effect.Effect<ArtifactRef, E, R>
}>("prefline/runtime/Dispatcher", {
  defaultValue: () => ({ dispatch: (_task, here) => here })
})
