import { Schema, Stream } from "effect"
import { Prompt, Prompts } from "../../dsl/artifacts.ts"
import { Count } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { fileSource, pathField, records } from "./jsonl.ts"

/** What a line must hold; a line without `id` is named by its number. */
const PromptLine = Schema.Struct({ ...Prompt.fields, id: Schema.optionalKey(Prompt.fields.id) })

/** Loads prompts from a file of JSON lines `{"text": …, "id"?: …}`, at most `limit` of them. */
export const prompts = Stage.make({
  name: "load.prompts",
  description: "Prompts from a file of JSON lines",
  module: import.meta.url,
  params: { ...pathField, limit: Schema.optionalKey(Count) },
  output: Prompts,
  source: fileSource,
  run: ({ params }) =>
    records(params.path, PromptLine, { excess: "error" }).pipe(
      Stream.map(([prompt, line]): Prompt => ({ ...prompt, id: prompt.id ?? `line-${line}` })),
      Stream.take(params.limit ?? Number.POSITIVE_INFINITY)
    )
})
