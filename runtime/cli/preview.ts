/** What an artifact holds, at a glance, read from its files alone: no stage and no component has to be known for it. */
import { Effect, Schema, Stream } from "effect"
import { ArtifactInvalid, type FileSource } from "../../dsl/Artifact.ts"
import { type Evaluation, EvaluationReport } from "../../dsl/artifacts.ts"
import type * as Json from "../../dsl/Json.ts"
import type { ArtifactRef } from "../store/ArtifactRef.ts"
import { Store } from "../store/Store.ts"
import * as Evaluations from "./evaluation.ts"
import * as Format from "./format.ts"
import type { Style } from "./Output.ts"

export type Preview =
  | { readonly kind: "records"; readonly first: ReadonlyArray<Json.Json> }
  | { readonly kind: "evaluation"; readonly evaluation: Evaluation }
  | {
      readonly kind: "checkpoint"
      readonly config: Json.Json
      readonly tensors: number
      readonly parameters: number
      /** The last entries of the training's log. */
      readonly log: ReadonlyArray<Json.Json>
    }
  | { readonly kind: "value"; readonly value: Json.Json }
  | { readonly kind: "files" }

const FIRST = 3
const LAST = 3
const LINES = 40

export const read = Effect.fn("preview.read")(function* (ref: ArtifactRef) {
  const store = yield* Store
  const files = store.open(ref)
  const has = (name: string) => files.names.includes(name)
  if (ref.artifact === EvaluationReport.name) {
    return { kind: "evaluation", evaluation: yield* store.read(EvaluationReport, ref) } satisfies Preview as Preview
  }
  if (has("records.jsonl")) return { kind: "records", first: yield* firstRecords(files) } satisfies Preview as Preview
  if (has("model.safetensors")) return yield* checkpoint(files)
  if (has("value.json")) return { kind: "value", value: yield* json(files, "value.json") } satisfies Preview as Preview
  return { kind: "files" } satisfies Preview as Preview
})

export const render = (preview: Preview, style: Style, width: number): string => {
  switch (preview.kind) {
    case "records":
      return indented(["the first records:", ...preview.first.map((record) => text(record, width))])
    case "evaluation":
      return Evaluations.render(preview.evaluation, style, width)
    case "value":
      return indented(lines(preview.value))
    case "checkpoint": {
      const log = preview.log.map((entry) => Format.cut(logged(entry), Math.max(width - 2, 20)))
      return indented([
        `${Format.count(preview.tensors, "tensor")}, ${preview.parameters.toLocaleString("en")} parameters`,
        ...(log.length === 0 ? [] : ["the end of the training's log:", ...log]),
        "config.json:",
        ...lines(preview.config)
      ])
    }
    case "files":
      return ""
  }
}

const indented = (lines: ReadonlyArray<string>) => lines.map((line) => `  ${line}`).join("\n")

const text = (json: Json.Json, width: number) =>
  Format.oneLine(Format.visible(JSON.stringify(json)), Math.max(width - 2, 40))

/** The value, one member a line, as far as anybody would read it. */
const lines = (json: Json.Json): ReadonlyArray<string> => {
  const all = Format.visible(JSON.stringify(json, null, 2)).split("\n")
  return all.length <= LINES ? all : [...all.slice(0, LINES), `… and ${all.length - LINES} lines more`]
}

const firstRecords = (files: FileSource) =>
  files.open("records.jsonl").pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.filter((line) => line !== ""),
    Stream.take(FIRST),
    Stream.mapEffect((line) => parse("records.jsonl", line)),
    Stream.runCollect
  )

const json = (files: FileSource, name: string) =>
  files.open(name).pipe(
    Stream.decodeText(),
    Stream.mkString,
    Effect.flatMap((text) => parse(name, text))
  )

const parse = (where: string, text: string) =>
  Effect.try({
    try: () => JSON.parse(text) as Json.Json,
    catch: (cause) => new ArtifactInvalid({ artifact: "artifact", where, problem: String(cause) })
  })

/** `step 120  loss 0.509  grad_norm 1.35`: step and loss first, then the rest as it was logged. */
const logged = (entry: Json.Json): string => {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) return Format.visible(JSON.stringify(entry))
  const { loss, step, ...rest } = entry as Json.JsonObject
  const leading = { ...(step === undefined ? {} : { step }), ...(loss === undefined ? {} : { loss }) }
  const said = ([name, value]: [string, Json.Json]) =>
    `${name} ${typeof value === "number" && name !== "step" ? Format.number(value) : JSON.stringify(value)}`
  return Format.visible(
    Object.entries({ ...leading, ...rest })
      .map(said)
      .join("  ")
  )
}

const TrainerState = Schema.Struct({ log_history: Schema.Array(Schema.Json) })
const Header = Schema.Record(
  Schema.String,
  Schema.Union([Schema.Struct({ shape: Schema.Array(Schema.Int) }), Schema.Record(Schema.String, Schema.String)])
)

const checkpoint = Effect.fnUntraced(function* (files: FileSource) {
  const has = (name: string) => files.names.includes(name)
  const header = yield* decoded("model.safetensors", Header, yield* safetensorsHeader(files))
  const shapes = Object.values(header).flatMap((entry) => (Array.isArray(entry["shape"]) ? [entry["shape"]] : []))
  const log = has("trainer_state.json")
    ? (yield* decoded("trainer_state.json", TrainerState, yield* json(files, "trainer_state.json"))).log_history
    : []
  const preview: Preview = {
    kind: "checkpoint",
    config: has("config.json") ? yield* json(files, "config.json") : null,
    tensors: shapes.length,
    parameters: shapes.reduce((total, shape) => total + shape.reduce((size: number, n: number) => size * n, 1), 0),
    log: log.slice(-LAST)
  }
  return preview
})

const decoded = <A>(where: string, schema: Schema.Codec<A, any>, value: unknown) =>
  Schema.decodeUnknownEffect(schema)(value).pipe(
    Effect.mapError((cause) => new ArtifactInvalid({ artifact: "checkpoint", where, problem: cause.message }))
  )

/** The names and shapes stand at the front, behind their length: the weights are not read. */
const safetensorsHeader = Effect.fnUntraced(function* (files: FileSource) {
  const LENGTH = 8
  const chunks: Array<Uint8Array> = []
  let size = 0
  const wanted = () => (size < LENGTH ? LENGTH : LENGTH + Number(Buffer.concat(chunks).readBigUInt64LE(0)))
  yield* files.open("model.safetensors").pipe(
    Stream.takeUntil((chunk) => {
      chunks.push(chunk)
      size += chunk.length
      return size >= LENGTH && size >= wanted()
    }),
    Stream.runDrain
  )
  const bytes = Buffer.concat(chunks)
  return yield* parse("model.safetensors", bytes.toString("utf8", LENGTH, Math.min(size, wanted())))
})
