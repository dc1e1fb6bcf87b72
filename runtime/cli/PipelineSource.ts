/** From what a user types to a pipeline: a name of the catalog, or a file with an export. */
import { existsSync, statSync } from "node:fs"
import * as Path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Effect, Layer, Schema } from "effect"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { type Entry, entries } from "./Catalog.ts"
import { guess } from "./nearest.ts"

/** A pipeline, where another process finds it, and the services that its module brings for it. */
export interface Found {
  readonly pipeline: Pipeline.Pipeline
  readonly source: { readonly module: string; readonly export: string }
  readonly layer: Layer.Layer<never> | undefined
}

/** A name that the catalog does not have. */
export class PipelineUnknown extends Schema.TaggedError<PipelineUnknown>()("PipelineUnknown", {
  name: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    const known = this.known.length === 0 ? "the catalog is empty" : `known: ${this.known.join(", ")}`
    const name = `${JSON.stringify(this.name)}${guess(this.name, this.known)}`
    return `there is no pipeline ${name}; ${known}. A file is given with its ending: ./${this.name}.ts`
  }
}

/** A file that gives no pipeline: it is missing, does not parse, throws while it is imported, or exports none. */
export class PipelineFileUnusable extends Schema.TaggedError<PipelineFileUnusable>()("PipelineFileUnusable", {
  file: Schema.String,
  problem: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message() {
    return `${this.file}: ${this.problem}`
  }
}

export const find = Effect.fn("PipelineSource.find")(function* (argument: string) {
  const file = /^(.+\.(?:ts|mts|js|mjs))(?:#(.*))?$/.exec(argument)
  if (file !== null) return yield* fromFile(file[1]!, file[2] || "default")
  const catalog = yield* entries
  const entry = catalog.find(({ pipeline }) => pipeline.name === argument)
  if (entry !== undefined) return fromEntry(entry)
  return yield* new PipelineUnknown({ name: argument, known: catalog.map(({ pipeline }) => pipeline.name) })
})

/** The pipeline of an earlier run: from the module it came from, or the catalog's of that name if that has moved. */
export const findAgain = Effect.fn("PipelineSource.findAgain")(function* (run: {
  readonly pipeline: string
  readonly source: Found["source"]
}) {
  const file = run.source.module.startsWith("file:") ? fileURLToPath(run.source.module) : run.source.module
  // Runs of a check are named after both, with a slash that no pipeline's name has.
  return yield* existsSync(file) ? fromFile(file, run.source.export) : find(run.pipeline.split("/")[0]!)
})

export const fromEntry = ({ module, pipeline }: Entry): Found => ({
  pipeline,
  source: { module, export: "default" },
  layer: undefined
})

const fromFile = Effect.fnUntraced(function* (file: string, name: string) {
  const path = Path.resolve(file)
  if (!existsSync(path)) return yield* new PipelineFileUnusable({ file, problem: "there is no such file" })
  if (!statSync(path).isFile()) return yield* new PipelineFileUnusable({ file, problem: "is not a file" })
  const url = pathToFileURL(path).href
  const module = yield* Effect.tryPromise({
    try: () => import(url) as Promise<Readonly<Record<string, unknown>>>,
    catch: (cause) => new PipelineFileUnusable({ file, problem: importProblem(cause), cause })
  })
  const pipeline = module[name]
  if (!Pipeline.isPipeline(pipeline)) {
    return yield* new PipelineFileUnusable({ file, problem: exportProblem(module, name) })
  }
  const { layer } = module
  if (layer !== undefined && !Layer.isLayer(layer)) {
    return yield* new PipelineFileUnusable({
      file,
      problem: "its export `layer` must be a Layer, for its stages' services"
    })
  }
  const found: Found = {
    pipeline,
    source: { module: url, export: name },
    layer: layer as Layer.Layer<never> | undefined
  }
  return found
})

const importProblem = (cause: unknown): string => {
  if (!(cause instanceof Error)) return `throws while it is imported: ${String(cause)}`
  const code = (cause as NodeJS.ErrnoException).code
  if (code === "ERR_MODULE_NOT_FOUND") return `imports what is not there: ${cause.message}`
  if (code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") {
    return `uses TypeScript that Node cannot run as it is (enums, namespaces, parameter properties): ${cause.message}`
  }
  return cause instanceof SyntaxError
    ? `does not parse: ${cause.message}`
    : `throws while it is imported: ${cause.message || cause.name}`
}

const exportProblem = (module: Readonly<Record<string, unknown>>, name: string): string => {
  const names = Object.keys(module)
  const pipelines = names.filter((name) => Pipeline.isPipeline(module[name]))
  const wanted = name === "default" ? "has no default export" : `has no export ${JSON.stringify(name)}`
  const problem = names.includes(name)
    ? `${name === "default" ? "its default export" : `its export ${JSON.stringify(name)}`} is not a pipeline`
    : wanted
  if (pipelines.length > 0) return `${problem}; its pipelines: ${pipelines.map((name) => `#${name}`).join(", ")}`
  return names.length === 0
    ? `${problem}; it exports nothing`
    : `${problem}, and no other export is one (${names.join(", ")})`
}
