/** The other side of the task seam: what a worker, which shares only the store, does with a task. */
import { Effect, Schema } from "effect"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { describe } from "./errors.ts"
import { keyOf } from "./keyOf.ts"
import { perform } from "./perform.ts"
import { Task } from "./Task.ts"

/** A text that is no task, or a pipeline that cannot be had or built here. */
export class TaskUnusable extends Schema.TaggedError<TaskUnusable>()("TaskUnusable", { problem: Schema.String }) {
  override get message() {
    return `cannot take on the task: ${this.problem}`
  }
}

/** What this process would compute is not what whoever made the task asked for. */
export class TaskStale extends Schema.TaggedError<TaskStale>()("TaskStale", {
  node: Schema.String,
  asked: Schema.String,
  /** The node's key here; absent where the pipeline has no such node here. */
  here: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const found = this.here === undefined ? "the pipeline here has no such node" : `here its key is ${this.here}`
    return `the task wants ${this.node} with the key ${this.asked}, but ${found}: code, parameters, packages or device are not those of its maker`
  }
}

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Task))

/**
 * Executes a task given as JSON: builds its graph anew, reads the inputs from the store, writes the output there and
 * returns its address. Nothing runs unless the node's key, computed from the code and the device at hand, is the one
 * asked for, so a worker of another version cannot fill the store with its own results.
 * **Gotchas** What stages found at run time fail with and need, no type can say: provide the services of the pipeline.
 * Modules are imported once in a process; a worker that outlives an edit of the code has to be started anew.
 */
export const executeTask = Effect.fn("executeTask")(function* (json: string) {
  const task = yield* decode(json).pipe(Effect.mapError(unusable("it is no task")))
  const pipeline = yield* load(task.pipeline)
  const { graph } = yield* Pipeline.build(pipeline, task.params).pipe(Effect.mapError(unusable("it does not build")))
  const found = graph.byId.get(task.node)
  if (found === undefined) return yield* new TaskStale({ node: task.node, asked: task.key })
  const { key } = yield* keyOf(found.node, task.inputs)
  if (key !== task.key) return yield* new TaskStale({ node: task.node, asked: task.key, here: key })
  return yield* perform(found.node, key, task.inputs)
})

const load = ({ export: name, module }: Task["pipeline"]) =>
  Effect.tryPromise({
    try: () => import(module) as Promise<Readonly<Record<string, unknown>>>,
    catch: unusable(`${module} cannot be imported`)
  }).pipe(
    Effect.map((exports) => exports[name]),
    Effect.filterOrFail(
      Pipeline.isPipeline,
      () => new TaskUnusable({ problem: `${module} exports no pipeline ${JSON.stringify(name)}` })
    )
  )

const unusable = (what: string) => (cause: unknown) => new TaskUnusable({ problem: `${what}: ${describe(cause)}` })
