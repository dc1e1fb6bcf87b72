/**
 * A language model at rest: its configuration, weights and tokenizer, as the files of a Hugging Face model folder.
 *
 * **Source** The layout that `transformers` reads and writes with `from_pretrained` and `save_pretrained`.
 */
import { Effect, Result, Schema } from "effect"
import * as Json from "./internal/json.ts"
import * as Safetensors from "./Safetensors.ts"

/** All but `weights` are the JSON objects of the files below; nothing in them is interpreted. */
export interface Checkpoint {
  readonly config: Schema.JsonObject
  readonly weights: Safetensors.Tensors
  readonly tokenizer: Schema.JsonObject
  readonly tokenizerConfig?: Schema.JsonObject
  /** How training went: steps done, losses, why it stopped. */
  readonly trainerState?: Schema.JsonObject
}

export const FileName = Schema.Literals([
  "config.json",
  "model.safetensors",
  "tokenizer.json",
  "tokenizer_config.json",
  "trainer_state.json"
])
export type FileName = typeof FileName.Type

export interface File {
  readonly name: FileName
  readonly bytes: Iterable<Uint8Array>
}

/** A folder does not hold a checkpoint. Never transient. */
export class CheckpointInvalid extends Schema.TaggedError<CheckpointInvalid>()("CheckpointInvalid", {
  file: FileName,
  problem: Schema.Literals(["missing", "utf-8", "json", "weights"]),
  detail: Schema.String,
  /** Where the JSON is malformed, counted from 1; for `json` only, and absent where it is well formed but no object. */
  position: Schema.optionalKey(Schema.Struct({ line: Schema.Int, column: Schema.Int })),
  /** What is wrong with the weights; for `weights` only. */
  cause: Schema.optionalKey(Safetensors.SafetensorsInvalid)
}) {
  override get message() {
    const at = this.position === undefined ? "" : `:${this.position.line}:${this.position.column}`
    return `checkpoint, ${this.file}${at}: ${this.detail}`
  }
}

/**
 * The checkpoint's files, sorted by name; `tokenizer_config.json` and `trainer_state.json` only where there is one.
 *
 * **Details** Deterministic: equal checkpoints give equal bytes, in whatever order their keys and tensors were added.
 * JSON has sorted keys, two spaces and a final line feed. Weights carry the metadata `format: "pt"`, without which
 * `transformers` refuses to load them. Bytes of weights are views of the tensors, not copies.
 *
 * **Gotchas** Throws for a value that its type should exclude: `SafetensorsInvalid` for a shape that contradicts its
 * data, `RangeError` for NaN, an infinity or a lone surrogate in the JSON.
 */
export const toFiles = ({
  config,
  tokenizer,
  tokenizerConfig,
  trainerState,
  weights
}: Checkpoint): ReadonlyArray<File> => [
  { name: "config.json", bytes: jsonBytes(config) },
  { name: "model.safetensors", bytes: Safetensors.encode(weights, { format: "pt" }) },
  { name: "tokenizer.json", bytes: jsonBytes(tokenizer) },
  ...optionalJson("tokenizer_config.json", tokenizerConfig),
  ...optionalJson("trainer_state.json", trainerState)
]

/**
 * Reads a checkpoint from a folder's files by name; other files (a model card, `generation_config.json`) are ignored.
 *
 * **Details** Reads what `toFiles` writes and what `transformers` saves in one piece. Weights split over several files
 * are refused. Nested weights errors are in `cause`.
 */
export const fromFiles = Effect.fnUntraced(function* (
  files: ReadonlyMap<string, Uint8Array>
): Effect.fn.Return<Checkpoint, CheckpointInvalid> {
  const config = yield* readJson(files, "config.json")
  const tokenizer = yield* readJson(files, "tokenizer.json")
  const weights = yield* Effect.flatMap(required(files, "model.safetensors"), Safetensors.decode).pipe(
    Effect.catchTag("SafetensorsInvalid", (cause) =>
      Effect.fail(
        new CheckpointInvalid({ file: "model.safetensors", problem: "weights", detail: cause.message, cause })
      )
    )
  )
  return {
    config,
    weights,
    tokenizer,
    ...(files.has("tokenizer_config.json") && { tokenizerConfig: yield* readJson(files, "tokenizer_config.json") }),
    ...(files.has("trainer_state.json") && { trainerState: yield* readJson(files, "trainer_state.json") })
  }
})

const optionalJson = (name: FileName, value: Schema.JsonObject | undefined): ReadonlyArray<File> =>
  value === undefined ? [] : [{ name, bytes: jsonBytes(value) }]

const jsonBytes = (value: Schema.JsonObject): Iterable<Uint8Array> => [new TextEncoder().encode(Json.print(value))]

const required = (files: ReadonlyMap<string, Uint8Array>, file: FileName) => {
  const bytes = files.get(file)
  if (bytes !== undefined) return Effect.succeed(bytes)
  const sharded = file === "model.safetensors" && files.has("model.safetensors.index.json")
  const detail = sharded ? "missing: weights in several files are not read; save them as one" : "missing"
  return Effect.fail(new CheckpointInvalid({ file, problem: "missing", detail }))
}

const readJson = Effect.fnUntraced(function* (
  files: ReadonlyMap<string, Uint8Array>,
  file: FileName
): Effect.fn.Return<Schema.JsonObject, CheckpointInvalid> {
  const bytes = yield* required(files, file)
  const text = yield* Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
    catch: () => new CheckpointInvalid({ file, problem: "utf-8", detail: "is not UTF-8" })
  })
  const parsed = Json.parse(text)
  if (Result.isFailure(parsed)) {
    const { column, line, problem } = parsed.failure
    return yield* new CheckpointInvalid({ file, problem: "json", detail: problem, position: { line, column } })
  }
  if (isObject(parsed.success)) return parsed.success
  return yield* new CheckpointInvalid({ file, problem: "json", detail: "is no JSON object" })
})

const isObject = (value: Schema.Json): value is Schema.JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)
