/** What happens in a run, as its journal keeps it. */
import { Schema } from "effect"
import { Index } from "../../dsl/Params.ts"
import { ArtifactRef, Digest } from "./ArtifactRef.ts"

/** `<UTC date>-<UTC time>-<six hexadecimal digits>`: sorts by time, and is safe as the name of a folder. */
export const RunId = Schema.String.check(Schema.isPattern(/^\d{8}-\d{6}-[0-9a-f]{6}$/))

/** When it happened: ISO 8601, UTC. */
const at = Schema.String.check(Schema.isPattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/))
const node = Schema.String
const ms = Schema.Finite

export const RunStarted = Schema.TaggedStruct("RunStarted", {
  at,
  run: RunId,
  pipeline: Schema.String,
  /** Where another process finds the pipeline: a module and the name of its export. */
  source: Schema.Struct({ module: Schema.String, export: Schema.String }),
  /** The pipeline's encoded parameters, its seed among them. */
  params: Schema.JsonObject,
  /** What was swept over, encoded, if the run is a sweep that `source` does not hold as it is. */
  grid: Schema.optionalKey(Schema.Record(Schema.String, Schema.Array(Schema.Json))),
  numerics: Schema.NullOr(Schema.Json),
  versions: Schema.Struct({ prefline: Schema.String, node: Schema.String, effect: Schema.String }),
  nodes: Schema.Array(
    Schema.Struct({ id: node, stage: Schema.String, inputs: Schema.Record(Schema.String, Schema.String) })
  ),
  /** Output name -> node. */
  outputs: Schema.Record(Schema.String, Schema.String)
})

export const NodeStarted = Schema.TaggedStruct("NodeStarted", { at, node, attempt: Index })

export const NodeRetried = Schema.TaggedStruct("NodeRetried", { at, node, attempt: Index, error: Schema.String })

export const NodeFinished = Schema.TaggedStruct("NodeFinished", {
  at,
  node,
  key: Digest,
  status: Schema.Literals(["computed", "cached"]),
  output: ArtifactRef,
  ms
})

export const NodeFailed = Schema.TaggedStruct("NodeFailed", {
  at,
  node,
  error: Schema.Struct({ tag: Schema.String, message: Schema.String }),
  ms
})

/** A node that did not run because the nodes it depends on have no output. */
export const NodeSkipped = Schema.TaggedStruct("NodeSkipped", { at, node, because: Schema.Array(node) })

export const RunFinished = Schema.TaggedStruct("RunFinished", {
  at,
  status: Schema.Literals(["succeeded", "failed", "interrupted"]),
  ms
})

export const RunEvent = Schema.Union([
  RunStarted,
  NodeStarted,
  NodeRetried,
  NodeFinished,
  NodeFailed,
  NodeSkipped,
  RunFinished
])
export type RunEvent = typeof RunEvent.Type

/** An event as it is reported: the journal adds the time. */
export type Reported = RunEvent extends infer Event ? (Event extends unknown ? Omit<Event, "at"> : never) : never
