import { Schema, Stream } from "effect"
import { Pair, Pairs } from "../../dsl/artifacts.ts"
import { Count, NonNegative, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { fileSource, pathField, records } from "./jsonl.ts"

/** TRL's preference record with an explicit prompt; `margin` as its reward trainer reads it. Other columns are ignored. */
const TrlPair = Schema.Struct({
  prompt: Schema.String,
  chosen: Schema.String,
  rejected: Schema.String,
  margin: Schema.optionalKey(NonNegative)
})

/**
 * Loads preference pairs from a file of JSON lines.
 * **Details** `format: "prefline"` is this project's own record, as `pair` writes it. `"trl"` is
 * `{"prompt", "chosen", "rejected"}` as strings, the answers without the prompt: pairs and prompts are named by their
 * line, answers count as finished (`stop`), and the margin is 0 where the record has none.
 * **Gotchas** TRL's conversational records (lists of messages) are refused: apply the chat template first.
 * **Source** huggingface/trl, docs/source/dataset_formats.md, "Preference".
 */
export const pairs = Stage.make({
  name: "load.pairs",
  description: "Preference pairs from a file of JSON lines",
  module: import.meta.url,
  params: {
    ...pathField,
    format: Schema.Literals(["prefline", "trl"]).pipe(withDefault("prefline")),
    limit: Schema.optionalKey(Count)
  },
  output: Pairs,
  source: fileSource,
  run: ({ params }) =>
    (params.format === "trl"
      ? records(params.path, TrlPair, { excess: "ignore" }).pipe(Stream.map(([pair, line]) => fromTrl(pair, line)))
      : records(params.path, Pair, { excess: "error" }).pipe(Stream.map(([pair]) => pair))
    ).pipe(Stream.take(params.limit ?? Number.POSITIVE_INFINITY))
})

const fromTrl = (pair: typeof TrlPair.Type, line: number): Pair => ({
  id: `line-${line}`,
  prompt: { id: `line-${line}`, text: pair.prompt },
  chosen: { text: pair.chosen, finish: "stop" },
  rejected: { text: pair.rejected, finish: "stop" },
  margin: pair.margin ?? 0
})
