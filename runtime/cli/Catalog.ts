/** The pipelines that the command line knows by name. It is handed them; it does not know where they come from. */
import { Context, Effect, Schema } from "effect"
import type * as Pipeline from "../../dsl/Pipeline.ts"

export interface Entry {
  /** URL of the module whose default export is the pipeline. */
  readonly module: string
  readonly pipeline: Pipeline.Pipeline
}

/** Brings the entries in; importing pipelines imports their stages, so only commands that need them ask. */
export type Load = () => Promise<ReadonlyArray<Entry>>

/** A module of the catalog cannot be imported. */
export class CatalogUnavailable extends Schema.TaggedError<CatalogUnavailable>()("CatalogUnavailable", {
  cause: Schema.Defect()
}) {
  override get message() {
    return `the catalog of pipelines cannot be loaded: ${this.cause instanceof Error ? this.cause.message : this.cause}`
  }
}

export class Catalog extends Context.Service<Catalog, Load>()("prefline/runtime/cli/Catalog") {}

export const entries = Effect.gen(function* () {
  const load = yield* Catalog
  return yield* Effect.tryPromise({ try: load, catch: (cause) => new CatalogUnavailable({ cause }) })
})

/** The kind of method: what the pipeline says, else the folder that its file lies in. */
export const familyOf = ({ module, pipeline }: Entry): string => pipeline.family ?? module.split("/").at(-2) ?? ""
