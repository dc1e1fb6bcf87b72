import { Schema, Stream } from "effect"
import { Pair, Pairs } from "../../dsl/artifacts.ts"
import { Count } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { toPair } from "../../runtime/interchange/artifacts.ts"
import { fileSource, pathField, records } from "./jsonl.ts"
import { chatInput, formatField, load } from "./trl.ts"

/**
 * Loads preference pairs from a file of JSON lines, or a Parquet file.
 * **Details** `format: "prefline"` is this project's own record, as `pair` writes it. `"trl"` is TRL's preference, with an
 * explicit or an implicit prompt, plain, or conversational with `chat`: pairs and prompts are named by their line, answers
 * count as finished (`stop`), and the margin is 0 where the record has none. Other columns are ignored.
 * **Source** huggingface/trl, docs/source/dataset_formats.md, "Preference".
 */
export const pairs = Stage.make({
  name: "load.pairs",
  description: "Preference pairs from a file of JSON lines or Parquet",
  module: import.meta.url,
  params: { ...pathField, ...formatField, limit: Schema.optionalKey(Count) },
  inputs: chatInput,
  output: Pairs,
  source: fileSource,
  run: ({ inputs, params }) =>
    (params.format === "trl"
      ? load(params.path, "preference", inputs.chat, toPair)
      : records(params.path, Pair, { excess: "error" }).pipe(Stream.map(([pair]) => pair))
    ).pipe(Stream.take(params.limit ?? Number.POSITIVE_INFINITY))
})
