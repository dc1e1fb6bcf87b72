import { Schema, Stream } from "effect"
import { Text, Texts } from "../../dsl/artifacts.ts"
import * as Stage from "../../dsl/Stage.ts"
import { toText } from "../../runtime/interchange/artifacts.ts"
import { fileSource, pathField, records } from "./jsonl.ts"
import { select, selectionFields } from "./selection.ts"
import { chatInput, formatField, load } from "./trl.ts"

/** What a line must hold; a line without `id` is named by its number. */
const TextLine = Schema.Struct({ ...Text.fields, id: Schema.optionalKey(Text.fields.id) })

/**
 * Loads texts from a file of JSON lines, or a Parquet file.
 * **Details** A record is `{"text": …, "id"?: …, "label"?: …}`; with `format: "trl"` it is TRL's record of language
 * modeling, `{"text": …}`, or `{"messages": …}` with `chat`, and other columns are ignored. The content's digest enters the
 * key, the path does not: moving or packing the file recomputes nothing.
 * **Gotchas** Ids are taken as they stand; that they differ is for the file to see to, as checking it would hold them all.
 */
export const texts = Stage.make({
  name: "load.texts",
  description: "Texts from a file of JSON lines or Parquet",
  module: import.meta.url,
  params: { ...pathField, ...formatField, ...selectionFields },
  inputs: chatInput,
  output: Texts,
  source: fileSource,
  run: ({ inputs, params }) =>
    (params.format === "trl"
      ? load(params.path, "language-modeling", inputs.chat, toText)
      : records(params.path, TextLine, { excess: "error" }).pipe(
          Stream.map(([text, line]): Text => ({ ...text, id: text.id ?? `line-${line}` }))
        )
    ).pipe(select(params))
})
