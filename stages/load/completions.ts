import { Schema, Stream } from "effect"
import { CompletionGroup, Completions } from "../../dsl/artifacts.ts"
import { Count } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { grouped, toAnswer } from "../../runtime/interchange/artifacts.ts"
import { fileSource, pathField, records } from "./jsonl.ts"
import { chatInput, formatField, load } from "./trl.ts"

/**
 * Loads answers to prompts from a file of JSON lines, or a Parquet file, at most `limit` groups.
 * **Details** `format: "prefline"` is a prompt with all its answers, as `sample` writes it. `"trl"` is TRL's
 * prompt-completion record, plain, or conversational with `chat`: neighbours with the same prompt are its answers, and
 * count as finished.
 */
export const completions = Stage.make({
  name: "load.completions",
  description: "Answers to prompts from a file of JSON lines or Parquet",
  module: import.meta.url,
  params: { ...pathField, ...formatField, limit: Schema.optionalKey(Count) },
  inputs: chatInput,
  output: Completions,
  source: fileSource,
  run: ({ inputs, params }) =>
    (params.format === "trl"
      ? grouped(load(params.path, "prompt-completion", inputs.chat, toAnswer))
      : records(params.path, CompletionGroup, { excess: "error" }).pipe(Stream.map(([group]) => group))
    ).pipe(Stream.take(params.limit ?? Number.POSITIVE_INFINITY))
})
