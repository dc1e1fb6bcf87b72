/**
 * The archive of a run: a gzipped tar. Its first entry, `prefline.json`, declares what it is and every other entry with
 * its size; they follow in just that order: the run's journal, then entries of the action table, then objects, under the
 * paths that they have in a store.
 */
import { Schema } from "effect"
import { Index } from "../../dsl/Params.ts"
import { Digest } from "../store/ArtifactRef.ts"
import { RunId } from "../store/RunEvent.ts"

export const NAME = "prefline.json"
/** Raised when older code would misread an archive. */
export const VERSION = 1
/** The manifest itself takes no more bytes. */
export const LARGEST = 64 * 1024 * 1024

export const Entry = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("journal"), digest: Digest, bytes: Index }),
  Schema.Struct({ kind: Schema.Literal("action"), key: Digest, bytes: Index }),
  Schema.Struct({ kind: Schema.Literal("object"), digest: Digest, bytes: Index })
])
export type Entry = typeof Entry.Type

export const Manifest = Schema.Struct({
  format: Schema.Literal("prefline-run"),
  version: Schema.Int,
  run: RunId,
  /** What the run was of: the pipeline's name, where its module lay, its parameters. All of it stands in the journal too. */
  pipeline: Schema.String,
  source: Schema.Struct({ module: Schema.String, export: Schema.String }),
  params: Schema.JsonObject,
  prefline: Schema.String,
  entries: Schema.Array(Entry)
})
export type Manifest = typeof Manifest.Type

/** The path of an entry, in the archive as in a store. */
export const pathOf = (run: string, entry: Entry): string => {
  switch (entry.kind) {
    case "journal":
      return `runs/${run}/journal.jsonl`
    case "action":
      return `actions/${entry.key.slice(0, 2)}/${entry.key.slice(2)}.json`
    case "object":
      return `objects/${entry.digest.slice(0, 2)}/${entry.digest.slice(2)}`
  }
}
