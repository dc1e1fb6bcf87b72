import { Schema, Stream } from "effect"
import { Scored, ScoredGroup } from "../../dsl/artifacts.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { grouped, toRated, toSteps } from "../../runtime/interchange/artifacts.ts"
import { fileSource, pathField, records } from "./jsonl.ts"
import { chatInput, load } from "./trl.ts"

/**
 * Loads scored answers from a file of JSON lines, or a Parquet file, at most `limit` groups.
 * **Details** `format: "prefline"` is a prompt with all its answers, as `score` writes it. `"trl"` is TRL's unpaired
 * preference, plain, or conversational with `chat`: a good answer has the score 1, a bad one 0, and neighbours with the same
 * prompt are one group. `"trl-steps"` is its stepwise supervision: every step is an answer to the prompt and the steps
 * before it, with its label as score.
 */
export const scored = Stage.make({
  name: "load.scored",
  description: "Scored answers from a file of JSON lines or Parquet",
  module: import.meta.url,
  params: {
    ...pathField,
    format: Schema.Literals(["prefline", "trl", "trl-steps"]).pipe(withDefault("prefline")),
    limit: Schema.optionalKey(Count)
  },
  inputs: chatInput,
  output: Scored,
  source: fileSource,
  run: ({ inputs: { chat }, params: { format, limit, path } }) => {
    const groups =
      format === "trl"
        ? grouped(load(path, "unpaired-preference", chat, toRated))
        : format === "trl-steps"
          ? load(path, "stepwise-supervision", chat, toSteps).pipe(Stream.flattenIterable)
          : records(path, ScoredGroup, { excess: "error" }).pipe(Stream.map(([group]) => group))
    return groups.pipe(Stream.take(limit ?? Number.POSITIVE_INFINITY))
  }
})
