/** What a stage failed with in another thread or process, as data, and the error that stands for it here. */
import { Cause, Effect, Exit, Schema } from "effect"
import type * as Json from "../../dsl/Json.ts"
import { isRetryable, tagOf } from "./errors.ts"

/** An error, or whatever else was failed with: those members of it that are JSON, or its text. */
const Failed = Schema.Union([
  Schema.Struct({
    tag: Schema.String,
    name: Schema.String,
    message: Schema.String,
    retryable: Schema.Boolean,
    /** By its own schema, where the error's class is one; else those of its members that are JSON. */
    fields: Schema.JsonObject,
    stack: Schema.optionalKey(Schema.String),
    cause: Schema.optionalKey(Schema.Json)
  }),
  Schema.Struct({ value: Schema.Json })
])
type Failed = typeof Failed.Type

/** How an effect went wrong: by a failure, a defect, or an interruption that nobody asked for. */
export const Failure = Schema.Union([
  Schema.TaggedStruct("Failed", { error: Failed }),
  Schema.TaggedStruct("Died", { error: Failed }),
  Schema.TaggedStruct("Interrupted", {})
])
export type Failure = typeof Failure.Type

/**
 * An error that happened elsewhere: the tag, the name, the message, the stack and the members of the original, the latter
 * in their JSON form. It is no instance of the original's class.
 */
export class RemoteFailure extends Error {
  readonly _tag: string
  readonly retryable: boolean

  constructor({ cause, fields, message, name, retryable, stack, tag }: Exclude<Failed, { readonly value: unknown }>) {
    super(message, cause === undefined ? {} : { cause: decodeDefect(cause) })
    Object.assign(this, fields)
    this._tag = tag
    this.retryable = retryable
    const hidden = { enumerable: false, writable: true, configurable: true }
    Object.defineProperty(this, "message", { ...hidden, value: message })
    Object.defineProperty(this, "name", { ...hidden, value: name })
    Object.defineProperty(this, "stack", { ...hidden, value: stack ?? `${name}: ${message}` })
  }
}

export const fromCause = (cause: Cause.Cause<unknown>): Failure => {
  if (Cause.hasInterruptsOnly(cause)) return { _tag: "Interrupted" }
  return { _tag: Cause.hasFails(cause) ? "Failed" : "Died", error: encode(Cause.squash(cause)) }
}

export const toEffect = (failure: Failure): Effect.Effect<never, unknown> => {
  if (failure._tag === "Interrupted") return Effect.interrupt
  const error = "value" in failure.error ? failure.error.value : new RemoteFailure(failure.error)
  return failure._tag === "Failed" ? Effect.fail(error) : Effect.die(error)
}

const isJson = Schema.is(Schema.Json)
const Defect = Schema.Defect()
const encodeDefect = Schema.encodeSync(Defect)
const decodeDefect = Schema.decodeSync(Defect)

const encode = (error: unknown): Failed => {
  if (!(error instanceof Error)) return { value: isJson(error) ? error : textOrMembers(error) }
  const { cause, message, name, stack } = error
  return {
    tag: tagOf(error),
    name,
    message,
    retryable: isRetryable(error),
    fields: fieldsOf(error),
    ...(stack === undefined ? {} : { stack }),
    ...(cause === undefined ? {} : { cause: encodeDefect(cause) })
  }
}

const fieldsOf = (error: Error): Json.JsonObject => {
  const bySchema = Schema.isSchema(error.constructor)
    ? Effect.runSyncExit(Schema.encodeUnknownEffect(Schema.toCodecJson(error.constructor as Schema.Codec<any>))(error))
    : undefined
  const encoded = bySchema !== undefined && Exit.isSuccess(bySchema) ? bySchema.value : undefined
  return isObject(encoded) && isJson(encoded) ? encoded : membersOf(error)
}

/** A plain object can be an error too, with a tag and a word on whether to retry; else the text has to do. */
const textOrMembers = (error: unknown): Json.Json => {
  const members = typeof error === "object" && error !== null ? membersOf(error) : {}
  return Object.keys(members).length > 0 ? members : String(error)
}

const membersOf = (error: object): Json.JsonObject =>
  Object.fromEntries(Object.entries(error).filter((member): member is [string, Json.Json] => isJson(member[1])))

const isObject = (json: unknown): json is Json.JsonObject =>
  typeof json === "object" && json !== null && !Array.isArray(json)
