/**
 * A language model at rest: its configuration, weights and tokenizer, as the files of a Hugging Face model folder.
 *
 * **Source** The layout that `transformers` reads and writes with `from_pretrained` and `save_pretrained`.
 */
import { Effect, Result, Schema } from "effect"
import { brief } from "./internal/brief.ts"
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
  file: Schema.String,
  problem: Schema.Literals(["missing", "utf-8", "json", "weights"]),
  detail: Schema.String,
  /** Where the JSON is malformed, counted from 1; for `json` only, and absent where it is well formed but no object. */
  position: Schema.optionalKey(Schema.Struct({ line: Schema.Int, column: Schema.Int })),
  /** What is wrong with the weights; for `weights` only. */
  cause: Schema.optionalKey(Safetensors.SafetensorsInvalid)
}) {
  override get message() {
    const at = this.position === undefined ? "" : `:${this.position.line}:${this.position.column}`
    return `checkpoint, ${this.file}${at}: ${brief(this.detail)}`
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

/** Tells which file has which tensor, where the weights are split over several. */
export const INDEX = "model.safetensors.index.json"
/** Where newer folders keep the chat template; it counts before the one in `tokenizer_config.json`. */
export const CHAT_TEMPLATE = "chat_template.jinja"

const Index = Schema.Struct({ weight_map: Schema.Record(Schema.String, Schema.String) })
/** Files of weights are named by files from outside: names that could lead out of the folder are refused. */
const SHARD = /^[\w-][\w.-]*\.safetensors$/

/** The names of the files that hold the weights, by the index of a folder. */
export const shardsOf = Effect.fnUntraced(function* (index: Uint8Array) {
  const json = yield* readJson(new Map([[INDEX, index]]), INDEX)
  const { weight_map: map } = yield* Schema.decodeUnknownEffect(Index)(json).pipe(
    Effect.mapError(({ message }) => new CheckpointInvalid({ file: INDEX, problem: "weights", detail: message }))
  )
  const names = [...new Set(Object.values(map))].sort()
  const strange = names.find((name) => !SHARD.test(name))
  if (strange !== undefined || names.length === 0) {
    const detail =
      strange === undefined ? "names no file" : `${JSON.stringify(strange)} is no name of a safetensors file`
    return yield* new CheckpointInvalid({ file: INDEX, problem: "weights", detail })
  }
  return { map, names }
})

/**
 * Reads a checkpoint from a folder's files by name; other files (a model card, `generation_config.json`) are ignored.
 *
 * **Details** Reads what `toFiles` writes and what `transformers` saves, in one piece or split over several files by an
 * index. Nested weights errors are in `cause`.
 */
export const fromFiles = Effect.fnUntraced(function* (
  files: ReadonlyMap<string, Uint8Array>
): Effect.fn.Return<Checkpoint, CheckpointInvalid> {
  const config = yield* readJson(files, "config.json")
  const tokenizer = yield* readJson(files, "tokenizer.json")
  const inPieces = !files.has("model.safetensors") && files.has(INDEX)
  const weights = yield* inPieces ? readShards(files) : readWeights(files, "model.safetensors")
  const tokenizerConfig = yield* tokenizerConfigOf(files)
  return {
    config,
    weights,
    tokenizer,
    ...(tokenizerConfig !== undefined && { tokenizerConfig }),
    ...(files.has("trainer_state.json") && { trainerState: yield* readJson(files, "trainer_state.json") })
  }
})

const optionalJson = (name: FileName, value: Schema.JsonObject | undefined): ReadonlyArray<File> =>
  value === undefined ? [] : [{ name, bytes: jsonBytes(value) }]

const jsonBytes = (value: Schema.JsonObject): Iterable<Uint8Array> => [new TextEncoder().encode(Json.print(value))]

/** What a folder's files say of the tokenizer, with the chat template wherever it is kept; `undefined` if nothing. */
export const tokenizerConfigOf = Effect.fnUntraced(function* (
  files: ReadonlyMap<string, Uint8Array>
): Effect.fn.Return<Schema.JsonObject | undefined, CheckpointInvalid> {
  const given = files.has("tokenizer_config.json") ? yield* readJson(files, "tokenizer_config.json") : undefined
  const template = files.has(CHAT_TEMPLATE) ? yield* readText(files, CHAT_TEMPLATE) : undefined
  return template === undefined ? given : { ...given, chat_template: template }
})

/** What else weights are kept in: pickles, which run the code that they hold when they are read. */
const PICKLES = ["pytorch_model.bin", "pytorch_model.bin.index.json"]

const required = (files: ReadonlyMap<string, Uint8Array>, file: string) => {
  const bytes = files.get(file)
  if (bytes !== undefined) return Effect.succeed(bytes)
  return Effect.fail(new CheckpointInvalid({ file, problem: "missing", detail: missing(file, [...files.keys()]) }))
}

/** Why a file is missing, for people. */
export const missing = (file: string, present: ReadonlyArray<string>): string => {
  const pickle = file === "model.safetensors" ? PICKLES.find((name) => present.includes(name)) : undefined
  return pickle === undefined
    ? "missing"
    : `missing; ${pickle} is a pickle, which can run any code when it is read, so it is not: save the model as safetensors`
}

const readWeights = (files: ReadonlyMap<string, Uint8Array>, file: string) =>
  Effect.flatMap(required(files, file), Safetensors.decode).pipe(
    Effect.catchTag("SafetensorsInvalid", (cause) =>
      Effect.fail(new CheckpointInvalid({ file, problem: "weights", detail: cause.message, cause }))
    )
  )

/** Every tensor from the file that the index says it is in; files hold these tensors and no others. */
const readShards = Effect.fnUntraced(function* (files: ReadonlyMap<string, Uint8Array>) {
  const { map, names } = yield* shardsOf(files.get(INDEX)!)
  const weights = new Map<string, Safetensors.TensorData>()
  for (const name of names) {
    for (const [tensor, data] of yield* readWeights(files, name)) {
      if (map[tensor] !== name) {
        const detail = `it has the tensor ${JSON.stringify(tensor)}, which ${INDEX} does not say`
        return yield* new CheckpointInvalid({ file: name, problem: "weights", detail })
      }
      weights.set(tensor, data)
    }
  }
  const lost = Object.keys(map).find((tensor) => !weights.has(tensor))
  if (lost === undefined) return weights
  const detail = `the tensor ${JSON.stringify(lost)} is not in ${map[lost]}`
  return yield* new CheckpointInvalid({ file: INDEX, problem: "weights", detail })
})

const readText = (files: ReadonlyMap<string, Uint8Array>, file: string): Effect.Effect<string, CheckpointInvalid> =>
  Effect.flatMap(required(files, file), (bytes) =>
    Effect.try({
      try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
      catch: () => new CheckpointInvalid({ file, problem: "utf-8", detail: "is not UTF-8" })
    })
  )

const readJson = Effect.fnUntraced(function* (
  files: ReadonlyMap<string, Uint8Array>,
  file: string
): Effect.fn.Return<Schema.JsonObject, CheckpointInvalid> {
  const text = yield* readText(files, file)
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
