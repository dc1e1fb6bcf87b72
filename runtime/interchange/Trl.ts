/**
 * TRL's types of data, one record at a time: what a row of a file must hold to be of a type, and how it is written.
 *
 * **Details** Loaders in `stages/load` import this folder's formats (this module, `artifacts`, `convert`, `ChatTemplate`,
 * `Parquet`) as other stages import `runtime/models`: none of them imports a stage, the store or the executor. What needs a
 * store (`metrics`) is for the command line alone.
 * **Source** huggingface/trl, docs/source/dataset_formats.md.
 */
import { Effect, Schema } from "effect"
import type { Json, JsonObject } from "../../dsl/Json.ts"

export const Type = Schema.Literals([
  "language-modeling",
  "prompt-only",
  "prompt-completion",
  "preference",
  "preference-implicit",
  "unpaired-preference",
  "stepwise-supervision"
])
export type Type = typeof Type.Type

/** One turn. `content` is `null` where a turn has none (a call of a tool); further members (`name`, `tool_calls`) stay. */
export const Message = Schema.StructWithRest(
  Schema.Struct({
    role: Schema.NonEmptyString,
    content: Schema.NullOr(Schema.Union([Schema.String, Schema.Array(Schema.JsonObject)]))
  }),
  [Schema.Record(Schema.String, Schema.Json)]
)
export type Message = typeof Message.Type

export const Conversation = Schema.NonEmptyArray(Message)
export type Conversation = ReadonlyArray<Message>

/** Plain text, or a list of messages. */
export type Said = string | Conversation
const Said = Schema.Union([Schema.String, Conversation])
/** The turns of an answer may be none: where one dialogue ends, the other goes on. */
const Answer = Schema.Union([Schema.String, Schema.Array(Message)])

const members = {
  "language-modeling": { text: Said },
  "prompt-only": { prompt: Said },
  "prompt-completion": { prompt: Said, completion: Answer },
  preference: { prompt: Answer, chosen: Answer, rejected: Answer },
  "preference-implicit": { chosen: Said, rejected: Said },
  "unpaired-preference": { prompt: Said, completion: Answer, label: Schema.Boolean },
  "stepwise-supervision": {
    prompt: Schema.String,
    completions: Schema.Array(Schema.String),
    labels: Schema.Array(Schema.Boolean)
  }
} as const satisfies Readonly<Record<Type, Schema.Struct.Fields>>

type Members<T extends Type> = Schema.Struct.Type<(typeof members)[T]>

/** A record of a type. The text of language modeling is under `text` here in both formats; `rest` are other columns. */
export type Example<T extends Type = Type> = T extends Type
  ? { readonly type: T; readonly rest: JsonObject } & Members<T>
  : never

/** A row that is of no type, or not of the one that its columns promise. */
export class RowInvalid extends Schema.TaggedError<RowInvalid>()("RowInvalid", { problem: Schema.String }) {
  override get message() {
    return this.problem
  }
}

/** The columns of a type in a file of the format. */
export const columnsOf = (type: Type, conversational: boolean): ReadonlyArray<string> =>
  Object.keys(members[type]).map((name) => (name === "text" && conversational ? "messages" : name))

/** Whether the texts of a record are lists of messages. */
export const isConversational = (example: Example): boolean => said(example).some((value) => typeof value !== "string")

/** The type that a row's columns tell; columns that are `null` are none. */
export const typeOf = (row: JsonObject): Effect.Effect<Type, RowInvalid> => {
  const has = (name: string) => row[name] !== undefined && row[name] !== null
  if (has("chosen") || has("rejected")) return Effect.succeed(has("prompt") ? "preference" : "preference-implicit")
  if (has("completions") || has("labels")) return Effect.succeed("stepwise-supervision")
  if (has("completion")) return Effect.succeed(has("label") ? "unpaired-preference" : "prompt-completion")
  if (has("messages") || has("text")) return Effect.succeed("language-modeling")
  if (has("prompt")) return Effect.succeed("prompt-only")
  const types = Type.literals.map((type) => `${type} (${columnsOf(type, false).join(", ")})`).join(", ")
  const found = Object.keys(row).filter(has).join(", ") || "none"
  return Effect.fail(new RowInvalid({ problem: `its columns (${found}) are of none of TRL's types: ${types}` }))
}

/**
 * Reads a row as a record of the type that its columns tell.
 * **Details** A column that is `null` is none, as in a Parquet file, where every column stands in every row; the same
 * holds for the members of a message, except that one without `content` has the content `null`.
 */
export const decode = (row: unknown): Effect.Effect<Example, RowInvalid> =>
  Effect.gen(function* () {
    if (!isObject(row)) return yield* new RowInvalid({ problem: `is no object but ${kindOf(row)}` })
    const type = yield* typeOf(row)
    const broken = firstBroken(row, "")
    if (broken !== undefined) return yield* new RowInvalid({ problem: `${broken} holds half of a surrogate pair` })
    const names = columnsOf(type, !("text" in row) || row["text"] === null)
    const [own, rest] = split(row, names)
    for (const name of names) {
      if (own[name] === undefined)
        return yield* new RowInvalid({ problem: `${name} is missing; ${type} has ${names.join(", ")}` })
    }
    const given = Object.fromEntries(
      Object.entries(own).map(([name, value]) => [name === "messages" ? "text" : name, withContent(value)])
    )
    if (typeof own["messages"] === "string") return yield* new RowInvalid({ problem: "messages is a text, no list" })
    const decoded = yield* decoders[type](given).pipe(
      Effect.mapError(({ message }) => new RowInvalid({ problem: `is no record of ${type}: ${message}` }))
    )
    const example = { ...decoded, type, rest } as Example
    const forms = new Set(said(example).flatMap((value) => (value.length === 0 ? [] : [typeof value])))
    if (forms.size > 1)
      return yield* new RowInvalid({ problem: `mixes texts and lists of messages in ${names.join(", ")}` })
    if (example.type === "stepwise-supervision" && example.completions.length !== example.labels.length) {
      const counts = `${example.completions.length} completions and ${example.labels.length} labels`
      return yield* new RowInvalid({ problem: `has ${counts}; every step has one label` })
    }
    return example
  })

/** The row of a record: what `decode` reads as the same record. */
export const encode = (example: Example): JsonObject => {
  const { rest, type, ...own } = example as { readonly type: Type; readonly rest: JsonObject } & JsonObject
  const conversational = isConversational(example)
  const named = Object.entries(own).map(([name, value]) => [
    name === "text" && conversational ? "messages" : name,
    value
  ])
  return { ...Object.fromEntries(named), ...rest }
}

const SAID = ["text", "prompt", "completion", "chosen", "rejected"] as const

/** What a record says, column by column. */
const said = (example: Example): ReadonlyArray<Said> => {
  const columns: Partial<Record<(typeof SAID)[number], Said>> = example
  return SAID.flatMap((name) => (columns[name] === undefined ? [] : [columns[name]]))
}

const decoders = Object.fromEntries(
  Type.literals.map((type) => [
    type,
    Schema.decodeUnknownEffect(Schema.toCodecJson(Schema.Struct(members[type])), { onExcessProperty: "error" })
  ])
) as unknown as Readonly<Record<Type, (row: unknown) => Effect.Effect<object, Schema.SchemaError>>>

const split = (row: JsonObject, names: ReadonlyArray<string>): readonly [own: JsonObject, rest: JsonObject] => {
  const present = Object.entries(row).filter(([, value]) => value !== null && value !== undefined)
  return [
    Object.fromEntries(present.filter(([name]) => names.includes(name))),
    Object.fromEntries(present.filter(([name]) => !names.includes(name)))
  ]
}

/** Messages without the members that are `null`, and each with a content. Anything else as it is: the schema judges it. */
const withContent = (value: Json): Json =>
  Array.isArray(value)
    ? value.map((message: Json) => {
        if (!isObject(message)) return message
        const present = Object.entries(message).filter(([, member]) => member !== null)
        return { content: null, ...Object.fromEntries(present) }
      })
    : value

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const kindOf = (value: unknown) => (Array.isArray(value) ? "a list" : value === null ? "null" : `a ${typeof value}`)

/** Where a text stands that is no Unicode, which no UTF-8 file can hold. */
const firstBroken = (value: Json, at: string): string | undefined => {
  if (typeof value === "string") return value.isWellFormed() ? undefined : at
  if (typeof value !== "object" || value === null) return undefined
  for (const [name, member] of Object.entries(value)) {
    const where = Array.isArray(value) ? `${at}[${name}]` : at === "" ? name : `${at}.${name}`
    if (!name.isWellFormed()) return where
    const broken = firstBroken(member, where)
    if (broken !== undefined) return broken
  }
  return undefined
}
