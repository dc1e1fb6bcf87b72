/**
 * A node's execution described as data: enough for any process that can import the pipeline's module and reach the
 * store to do the work. Dispatchers decide who does it.
 */
import { Context, type Effect, Schema } from "effect"
import { Index } from "../../dsl/Params.ts"
import { ArtifactRef } from "../store/ArtifactRef.ts"
import { Recipe } from "./Recipe.ts"

export const Task = Schema.Struct({
  /** How the node's graph is built: a pipeline, or a sweep of one. */
  recipe: Recipe,
  /** The node's id in that graph. */
  node: Schema.String,
  key: Schema.String,
  inputs: Schema.Record(Schema.String, ArtifactRef),
  attempt: Index,
  /** What the stage works with most of the time. */
  resource: Schema.Literals(["cpu", "device", "network"])
})
export type Task = typeof Task.Type

/**
 * Runs tasks: in this process (`here`), or somewhere else that leads to the same artifact in the same store. The default
 * runs them here.
 */
export const Dispatcher = Context.Reference<{
  readonly dispatch: <E, R>(task: Task, here: Effect.Effect<ArtifactRef, E, R>) => Effect.Effect<ArtifactRef, E, R>
  /** How many tasks for the device it takes at a time; each has a device of its own. */
  readonly devices: number
}>("prefline/runtime/Dispatcher", {
  defaultValue: () => ({ dispatch: (_task, here) => here, devices: 1 })
})
