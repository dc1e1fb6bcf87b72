/** Responses by their request, so that nothing is paid for twice. */
import { createHash } from "node:crypto"
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { Context, Effect, Option, Result, Schema } from "effect"
import * as Json from "../../dsl/Json.ts"
import { type EndpointConfig, identityOf } from "./EndpointConfig.ts"
import { body, type Request, Response } from "./wire.ts"

/** The cache's folder cannot be written. */
export class CacheUnwritable extends Schema.TaggedError<CacheUnwritable>()("CacheUnwritable", {
  problem: Schema.String
}) {
  override get message() {
    return `cannot keep a response: ${this.problem}`
  }
}

export interface Cache {
  /** The response under a key. What is damaged counts as absent. */
  readonly get: (key: string) => Effect.Effect<Option.Option<Response>>
  /** Keeps a response, durably once it returns. The request is kept beside it, for people. */
  readonly put: (key: string, request: Json.JsonObject, response: Response) => Effect.Effect<void, CacheUnwritable>
}

/** Keeps nothing. */
export const none: Cache = { get: () => Effect.succeed(Option.none()), put: () => Effect.void }

/** Nothing is kept unless a runtime says where. */
export const ResponseCache = Context.Reference<Cache>("prefline/services/ResponseCache", { defaultValue: () => none })

/**
 * SHA-256 of the canonical JSON of who is asked (address or identity, model, API), what is asked, and the request's `draw`.
 * Neither the API key nor limits, nor whether the answer is streamed, are in it.
 */
export const keyOf = (config: EndpointConfig, request: Request): string => {
  const asked = body({ ...config, tokensField: "max_tokens" }, request)
  const named = { version: 1, endpoint: identityOf(config), request: asked, draw: request.draw ?? 0 }
  return createHash("sha256").update(Json.canonicalUnsafe(named)).digest("hex")
}

const Entry = Schema.fromJsonString(
  Schema.Struct({ key: Schema.String, request: Schema.JsonObject, response: Schema.Json, digest: Schema.String })
)
const decodeEntry = Schema.decodeUnknownResult(Entry)
const decodeResponse = Schema.decodeUnknownResult(Response)
const digestOf = (response: Json.Json) => createHash("sha256").update(Json.canonicalUnsafe(response)).digest("hex")

/**
 * A cache in a folder: `ab/cdef….json`, each written apart, synced and moved to its place. Many processes may share it.
 * `temporary` names the files that are being written, on the same file system; whoever gives it clears them away after a
 * process that was killed.
 */
export const inFolder = (folder: string, temporary: () => string): Cache => {
  const pathOf = (key: string) => join(folder, key.slice(0, 2), `${key.slice(2)}.json`)
  return {
    get: (key) =>
      Effect.sync(() => {
        const text = Result.try(() => readFileSync(pathOf(key), "utf8"))
        const entry = Result.flatMap(text, decodeEntry)
        if (Result.isFailure(entry) || entry.success.key !== key) return Option.none()
        if (digestOf(entry.success.response) !== entry.success.digest) return Option.none()
        return Result.getSuccess(decodeResponse(entry.success.response))
      }),
    put: (key, request, response) =>
      Effect.try({
        try: () => {
          const encoded = JSON.parse(JSON.stringify(response)) as Json.Json
          const entry = { key, request, response: encoded, digest: digestOf(encoded) }
          writeWhole(pathOf(key), temporary(), `${Json.canonicalUnsafe(entry)}\n`)
        },
        catch: (cause) => new CacheUnwritable({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
  }
}

const writeWhole = (path: string, temporary: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true })
  try {
    const fd = openSync(temporary, "wx")
    try {
      writeFileSync(fd, text)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, path)
  } finally {
    rmSync(temporary, { force: true })
  }
}
