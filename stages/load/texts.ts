import { Schema, Stream } from "effect"
import { Text, Texts } from "../../dsl/artifacts.ts"
import * as Stage from "../../dsl/Stage.ts"
import { fileSource, pathField, records } from "./jsonl.ts"
import { select, selectionFields } from "./selection.ts"

/** What a line must hold; a line without `id` is named by its number. */
const TextLine = Schema.Struct({ ...Text.fields, id: Schema.optionalKey(Text.fields.id) })

/**
 * Loads texts from a file of JSON lines `{"text": …, "id"?: …, "label"?: …}`.
 * **Details** The content's digest enters the key, the path does not: moving or packing the file recomputes nothing.
 * **Gotchas** Ids are taken as they stand; that they differ is for the file to see to, as checking it would hold them all.
 */
export const texts = Stage.make({
  name: "load.texts",
  description: "Texts from a file of JSON lines",
  module: import.meta.url,
  params: { ...pathField, ...selectionFields },
  output: Texts,
  source: fileSource,
  run: ({ params }) =>
    records(params.path, TextLine, { excess: "error" }).pipe(
      Stream.map(([text, line]): Text => ({ ...text, id: text.id ?? `line-${line}` })),
      select(params)
    )
})
