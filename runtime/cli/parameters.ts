/** A pipeline's parameters: what they are, and how the command line sets them. */
import { Effect, Exit, Option, Schema } from "effect"
import * as Json from "../../dsl/Json.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import * as Format from "./format.ts"

/** A `--set` that cannot be read. */
export class SettingInvalid extends Schema.TaggedError<SettingInvalid>()("SettingInvalid", {
  setting: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `--set ${this.setting}: ${this.problem}`
  }
}

/** Parameters that the pipeline does not take, with those that it does. */
export class ParametersInvalid extends Schema.TaggedError<ParametersInvalid>()("ParametersInvalid", {
  problem: Schema.String,
  known: Schema.String
}) {
  override get message() {
    return `${this.problem}\n\nIts parameters:\n${this.known}`
  }
}

/** Parameters as JSON, by name. */
export type Params = Json.JsonObject

export interface Parameter {
  readonly name: string
  /** For people: `number > 0`, `integer in [0, 10]`, `"a" | "b"`. */
  readonly type: string
  readonly required: boolean
  /** As JSON; absent where there is none. */
  readonly default?: Json.Json
}

export const describe = (pipeline: Pipeline.Pipeline): ReadonlyArray<Parameter> =>
  Object.entries(pipeline.params.fields as Schema.Struct.Fields).map(([name, field]) => {
    const codec = Schema.toCodecJson(Schema.Struct({ [name]: field })) as unknown as Schema.Codec<
      object,
      Json.JsonObject
    >
    const absent = Effect.runSyncExit(
      Schema.decodeUnknownEffect(codec)({}).pipe(Effect.flatMap(Schema.encodeUnknownEffect(codec)))
    )
    const fallback = Exit.isSuccess(absent) ? absent.value[name] : undefined
    return {
      name,
      type: typeOf(field as Schema.Top, fallback !== undefined),
      required: Exit.isFailure(absent),
      ...(fallback === undefined ? {} : { default: fallback })
    }
  })

export const toTable = (parameters: ReadonlyArray<Parameter>): string =>
  Format.table(
    parameters.map(({ default: fallback, name, required, type }) => [
      name,
      type,
      fallback !== undefined ? `default ${JSON.stringify(fallback)}` : required ? "required" : "optional"
    ])
  )

/** The parameters that `--set` and `--seed` ask for, undecoded. */
export const fromFlags = Effect.fnUntraced(function* (
  settings: ReadonlyArray<string>,
  seed: Option.Option<number>
): Effect.fn.Return<Json.JsonObject, SettingInvalid> {
  const params = new Map<string, Json.Json>(Option.isSome(seed) ? [["seed", seed.value]] : [])
  for (const setting of settings) {
    const at = setting.indexOf("=")
    if (at < 1) return yield* new SettingInvalid({ setting, problem: "write it as parameter=value" })
    const name = setting.slice(0, at)
    if (params.has(name)) return yield* new SettingInvalid({ setting, problem: `${name} is set twice` })
    params.set(name, jsonOrText(setting.slice(at + 1)))
  }
  return Object.fromEntries(params)
})

/** Builds a pipeline, or a sweep of it; parameters that it does not take fail with the list of those that it does. */
export const build = <X extends Pipeline.Pipeline>(pipeline: X, params: Json.JsonObject, grid?: Pipeline.EncodedGrid) =>
  Effect.mapError(
    Pipeline.build(pipeline, params, grid),
    ({ message }) => new ParametersInvalid({ problem: message, known: toTable(describe(pipeline)) })
  )

const jsonOrText = (text: string): Json.Json => {
  try {
    return Json.parseUnsafe(text)
  } catch {
    return text // not JSON is text, as documented
  }
}

/** As JSON Schema says it, which knows bounds, literals and nested structures. */
const typeOf = (field: Schema.Top, hasDefault: boolean): string => {
  const { schema } = Schema.toJsonSchemaDocument(Schema.Struct({ field }))
  const property = (schema["properties"] as Readonly<Record<string, JsonSchema>>)["field"]!
  return typeText(hasDefault ? withoutNull(property) : property)
}

interface JsonSchema {
  readonly $ref?: string
  readonly type?: string
  readonly enum?: ReadonlyArray<unknown>
  readonly anyOf?: ReadonlyArray<JsonSchema>
  readonly items?: JsonSchema
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
}

/** A parameter with a default may be absent, which its JSON form spells as null. */
const withoutNull = (schema: JsonSchema): JsonSchema => {
  const rest = schema.anyOf?.filter(({ type }) => type !== "null") ?? []
  return rest.length === 1 ? rest[0]! : schema
}

const typeText = (schema: JsonSchema): string => {
  if (schema.$ref !== undefined)
    return schema.$ref
      .split("/")
      .at(-1)!
      .replace(/Encoded$/, "")
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" | ")
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeText).join(" | ")
  if (schema.type === "array") return `list of ${schema.items === undefined ? "anything" : typeText(schema.items)}`
  if (schema.type === "object") {
    const members = Object.entries(schema.properties ?? {}).map(([name, member]) => `${name}: ${typeText(member)}`)
    return `{ ${members.join(", ")} }`
  }
  return `${schema.type ?? "anything"}${boundsText(schema)}`
}

const boundsText = (schema: JsonSchema): string => {
  const minimum = finite(schema.minimum)
  const maximum = finite(schema.maximum)
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`
  const bounds = [
    minimum === undefined ? [] : [`>= ${minimum}`],
    schema.exclusiveMinimum === undefined ? [] : [`> ${schema.exclusiveMinimum}`],
    maximum === undefined ? [] : [`<= ${maximum}`],
    schema.exclusiveMaximum === undefined ? [] : [`< ${schema.exclusiveMaximum}`]
  ].flat()
  return bounds.length === 0 ? "" : ` ${bounds.join(" and ")}`
}

/** Every integer is bounded by what a double holds exactly; that is no bound worth telling. */
const finite = (bound: number | undefined) =>
  bound === undefined || Math.abs(bound) === Number.MAX_SAFE_INTEGER ? undefined : bound
