/** How a graph is built, as data: enough for any process that can import the pipeline's module to build the same one. */
import { Effect, Layer, Schema } from "effect"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { describe } from "./errors.ts"

export const Recipe = Schema.Struct({
  /** URL of the module, and the name of the export that holds the pipeline. */
  module: Schema.String,
  export: Schema.String,
  /** The pipeline's encoded parameters, its seed among them. */
  params: Schema.JsonObject,
  /** What is swept over, as in the runs of a paper's claims; absent for the pipeline as it is. */
  grid: Schema.optionalKey(Pipeline.EncodedGrid)
})
export type Recipe = typeof Recipe.Type

/** Where a pipeline comes from. */
export type Source = Pick<Recipe, "module" | "export">

/** A pipeline cannot be had or built here. */
export class RecipeUnusable extends Schema.TaggedError<RecipeUnusable>()("RecipeUnusable", { problem: Schema.String }) {
  override get message() {
    return this.problem
  }
}

/** A pipeline, and the services that its module brings for it by its export `layer`. */
export interface Loaded {
  readonly pipeline: Pipeline.Pipeline
  readonly layer: Layer.Layer<unknown, unknown, unknown> | undefined
}

/** The recipe of a built graph. */
export const of = ({ grid, params }: Pipeline.Built, { export: name, module }: Source): Recipe => ({
  module,
  export: name,
  params,
  ...(grid === undefined ? {} : { grid })
})

/** Imports the pipeline. A module is imported once in a process, or in a worker thread. */
export const load = Effect.fnUntraced(function* ({ export: name, module }: Source) {
  const exports = yield* Effect.tryPromise({
    try: () => import(module) as Promise<Readonly<Record<string, unknown>>>,
    catch: unusable(`${module} cannot be imported`)
  })
  const pipeline = exports[name]
  if (!Pipeline.isPipeline(pipeline))
    return yield* new RecipeUnusable({ problem: `${module} exports no pipeline ${JSON.stringify(name)}` })
  const layer = exports["layer"]
  if (layer !== undefined && !Layer.isLayer(layer))
    return yield* new RecipeUnusable({ problem: `${module}: its export \`layer\` is no Layer` })
  const loaded: Loaded = { pipeline, layer: layer as Loaded["layer"] }
  return loaded
})

export const build = ({ grid, params }: Recipe, { pipeline }: Loaded) =>
  Effect.mapError(Pipeline.build(pipeline, params, grid), unusable("it does not build"))

const unusable = (what: string) => (cause: unknown) => new RecipeUnusable({ problem: `${what}: ${describe(cause)}` })
