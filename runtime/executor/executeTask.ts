/** The other side of the task seam: what a worker, which shares only the store, does with a task. */
import { Cache, Context, Duration, Effect, Exit, Layer, Schema, type Scope } from "effect"
import * as Json from "../../dsl/Json.ts"
import type { Device } from "../device/Device.ts"
import { CodeHash } from "../store/CodeHash.ts"
import type { Store } from "../store/Store.ts"
import { describe } from "./errors.ts"
import { keyOf, modulesOf } from "./keyOf.ts"
import { perform } from "./perform.ts"
import * as Recipe from "./Recipe.ts"
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

/** What tasks are executed with; whatever else a stage needs its pipeline's module brings. */
export type Needs = Store | CodeHash | Device | Scope.Scope

/** Graphs that are kept at hand: those of runs that go on side by side, as all claims of a catalog do. */
const GRAPHS = 64

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Task))

/**
 * Returns the function that executes tasks given as JSON: it builds the task's graph, reads the inputs from the store,
 * writes the output there and returns its address. Nothing runs unless the node's key, computed from the code and the
 * device at hand, is the one asked for, so a worker of another version cannot fill the store with its own results.
 * Graphs are kept, and so are the services that pipelines' modules bring by their export `layer`, until the scope's end.
 * **Gotchas** Modules are imported once in a process; a worker that outlives an edit of the code has to be started anew.
 */
export const make = Effect.gen(function* () {
  const scope = yield* Effect.scope
  const codes = yield* CodeHash
  const graphs = yield* keeping(
    Effect.fnUntraced(function* (recipe: Recipe.Recipe) {
      const loaded = yield* Recipe.load(recipe)
      const { graph } = yield* Recipe.build(recipe, loaded)
      yield* codes.prefetch(yield* modulesOf(graph))
      return { graph, layer: loaded.layer }
    })
  )
  const services = new Map<Recipe.Loaded["layer"], Context.Context<never>>([[undefined, Context.empty()]])
  const servicesOf = Effect.fnUntraced(function* (layer: Recipe.Loaded["layer"]) {
    const known = services.get(layer)
    if (known !== undefined) return known
    const built = yield* Layer.buildWithScope(layer!, scope).pipe(
      Effect.mapError(
        (cause) => new Recipe.RecipeUnusable({ problem: `its services cannot be had: ${describe(cause)}` })
      )
    )
    services.set(layer, built as Context.Context<never>)
    return built as Context.Context<never>
  })
  const unusable = (cause: unknown) => new TaskUnusable({ problem: describe(cause) })

  return Effect.fn("executeTask")(function* (json: string) {
    const task = yield* decode(json).pipe(
      Effect.mapError((cause) => new TaskUnusable({ problem: `it is no task: ${describe(cause)}` }))
    )
    const { graph, layer } = yield* Effect.mapError(graphs(task.recipe), unusable)
    const provided = yield* Effect.mapError(servicesOf(layer), unusable)
    const found = graph.byId.get(task.node)
    if (found === undefined) return yield* new TaskStale({ node: task.node, asked: task.key })
    return yield* Effect.gen(function* () {
      const { key } = yield* keyOf(found.node, task.inputs)
      if (key !== task.key) return yield* new TaskStale({ node: task.node, asked: task.key, here: key })
      return yield* perform(found.node, key, task.inputs)
    }).pipe(Effect.provide(provided))
  })
})

/** Executes one task, as `make` says. */
export const executeTask = (json: string) => Effect.scoped(Effect.flatMap(make, (execute) => execute(json)))

/** `make` with the last results at hand, by the JSON of what they were made of. Failures are not kept. */
const keeping = <K, A, E, R>(make: (of: K) => Effect.Effect<A, E, R>) =>
  Effect.map(
    Cache.makeWith((text: string) => make(JSON.parse(text)), {
      capacity: GRAPHS,
      timeToLive: (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.zero)
    }),
    (cache) => (of: K) => Cache.get(cache, Json.canonicalUnsafe(of))
  )
