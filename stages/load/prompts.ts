import { Schema, Stream } from "effect"
import { Prompt, Prompts } from "../../dsl/artifacts.ts"
import { Count } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { toPrompt } from "../../runtime/interchange/artifacts.ts"
import { fileSource, pathField, records } from "./jsonl.ts"
import { chatInput, formatField, load } from "./trl.ts"

/** What a line must hold; a line without `id` is named by its number. */
const PromptLine = Schema.Struct({ ...Prompt.fields, id: Schema.optionalKey(Prompt.fields.id) })

/**
 * Loads prompts from a file of JSON lines, or a Parquet file, at most `limit` of them.
 * **Details** A record is `{"text": …, "id"?: …}`; with `format: "trl"` it is TRL's prompt-only record, `{"prompt": …}`,
 * plain, or conversational with `chat`.
 */
export const prompts = Stage.make({
  name: "load.prompts",
  description: "Prompts from a file of JSON lines or Parquet",
  module: import.meta.url,
  params: { ...pathField, ...formatField, limit: Schema.optionalKey(Count) },
  inputs: chatInput,
  output: Prompts,
  source: fileSource,
  run: ({ inputs, params }) =>
    (params.format === "trl"
      ? load(params.path, "prompt-only", inputs.chat, toPrompt)
      : records(params.path, PromptLine, { excess: "error" }).pipe(
          Stream.map(([prompt, line]): Prompt => ({ ...prompt, id: prompt.id ?? `line-${line}` }))
        )
    ).pipe(Stream.take(params.limit ?? Number.POSITIVE_INFINITY))
})
