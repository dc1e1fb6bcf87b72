/** One HTTP exchange with an endpoint: what is sent, and every way in which it can fail, told apart. */
import { Context, Effect, Layer, Redacted, Result, Stream } from "effect"
import { Sse } from "effect/encoding"
import { FetchHttpClient, HttpClient, HttpClientRequest, type HttpClientResponse } from "effect/http"
import type * as Json from "../../dsl/Json.ts"
import { askedWait } from "./backoff.ts"
import type { EndpointConfig } from "./EndpointConfig.ts"
import { EndpointFailed, type FailureKind } from "./errors.ts"

/** Redirects are not followed: the key is for the address that was given. */
export const Transport = Context.Reference<HttpClient.HttpClient>("prefline/services/Transport", {
  defaultValue: () =>
    Effect.runSync(
      HttpClient.HttpClient.pipe(
        Effect.provide(
          FetchHttpClient.layer.pipe(Layer.provide(Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" })))
        )
      )
    )
})

/** More than any answer: 64 MiB. */
export const LARGEST = 64 * 1024 * 1024
/** As much of an error's text is read. */
const LARGEST_ERROR = 64 * 1024

export type Key = Redacted.Redacted | undefined

/** Takes the key out of a text that a server sent. */
const scrub = (text: string, key: Key): string =>
  key === undefined ? text : text.replaceAll(Redacted.value(key), "<redacted>")

interface Details {
  readonly retryable?: boolean
  readonly status?: number
  readonly retryAfter?: number
}

export const failed = (
  { model, url }: EndpointConfig,
  kind: FailureKind,
  problem: string,
  details: Details = {}
): EndpointFailed => new EndpointFailed({ url, model, kind, problem, retryable: false, attempts: 1, ...details })

/** Sends a body; succeeds with a response of status 2xx whose content is still to be read. */
const send = Effect.fnUntraced(function* (config: EndpointConfig, key: Key, json: Json.JsonObject) {
  const path = config.api === "chat" ? "chat/completions" : "completions"
  const plain = HttpClientRequest.post(`${config.url.replace(/\/+$/, "")}/${path}`).pipe(
    HttpClientRequest.acceptJson,
    HttpClientRequest.bodyJsonUnsafe(json)
  )
  const request = key === undefined ? plain : HttpClientRequest.bearerToken(plain, key)
  const client = yield* Transport
  const response = yield* client.execute(request).pipe(
    Effect.provideService(HttpClient.TracerPropagationEnabled, false),
    Effect.mapError(({ reason }) => {
      const cause = "cause" in reason ? reason.cause : undefined
      const why = scrub(rootOf(cause) || reason.description || reason._tag, key)
      return failed(config, "unreachable", `cannot be reached: ${why}`, { retryable: true })
    })
  )
  const { headers, status } = response
  if (status >= 200 && status < 300) return response
  if (status >= 300 && status < 400) {
    const to = URL.parse(headers["location"] ?? "", config.url)?.origin ?? "nowhere"
    const problem = `redirects to ${scrub(to, key)} (status ${status}), where its key would not be safe; give that address if it is meant`
    return yield* failed(config, "redirected", problem, { status })
  }
  const said = yield* Effect.match(text(config, key, response, LARGEST_ERROR), {
    onFailure: () => "",
    onSuccess: errorText
  })
  const asked = yield* askedWait(headers["retry-after"])
  const retryable = (status === 429 && !said.includes("insufficient_quota")) || status >= 500
  return yield* failed(config, "status", `answered with status ${status}${said === "" ? "" : `: ${said}`}`, {
    status,
    retryable,
    ...(asked === undefined ? {} : { retryAfter: asked })
  })
})

/** The innermost cause's words: fetch itself only says that it failed. */
const rootOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return ""
  const inner = rootOf(cause.cause)
  const code = (cause as NodeJS.ErrnoException).code
  return inner || cause.message || code || cause.name
}

/** What a server says is wrong, in one line. */
const errorText = (body: string): string => {
  const parsed = Result.getOrElse(
    Result.try(() => JSON.parse(body) as unknown),
    () => undefined
  )
  const error = (parsed as { readonly error?: unknown } | null | undefined)?.error
  const { code, message } = (typeof error === "object" && error !== null ? error : {}) as Record<string, unknown>
  const said = typeof message === "string" ? `${message}${typeof code === "string" ? ` (${code})` : ""}` : body
  return said.replace(/\s+/g, " ").trim().slice(0, 300)
}

const dropped = (config: EndpointConfig, key: Key) => (error: { readonly message: string }) =>
  failed(config, "dropped", `closed the connection before its answer was complete: ${scrub(error.message, key)}`, {
    retryable: true
  })

/** The content as text. Fails where it is larger than `largest` or not UTF-8. */
const text = (config: EndpointConfig, key: Key, response: HttpClientResponse.HttpClientResponse, largest: number) =>
  bounded(config, key, response, largest).pipe(
    Stream.runCollect,
    Effect.flatMap((chunks) => decoded(config, Buffer.concat(chunks))),
    Effect.map((content) => scrub(content, key))
  )

const bounded = (
  config: EndpointConfig,
  key: Key,
  response: HttpClientResponse.HttpClientResponse,
  largest: number
) => {
  let size = 0
  return response.stream.pipe(
    Stream.mapError(dropped(config, key)),
    Stream.mapEffect((chunk) => {
      size += chunk.length
      return size > largest
        ? Effect.fail(failed(config, "too-large", `answers with more than ${largest} bytes`))
        : Effect.succeed(chunk)
    })
  )
}

const decoded = (config: EndpointConfig, bytes: Uint8Array): Effect.Effect<string, EndpointFailed> =>
  Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
    catch: () => failed(config, "malformed", "answers with bytes that are not UTF-8")
  })

const parsed = (config: EndpointConfig, content: string): Effect.Effect<unknown, EndpointFailed> =>
  Effect.try({
    try: () => JSON.parse(content) as unknown,
    catch: () =>
      failed(config, "malformed", `answers with something that is not JSON: ${JSON.stringify(content.slice(0, 80))}`)
  })

/** Fails where an attempt takes longer than the endpoint's limit. */
const timed = (config: EndpointConfig) =>
  Effect.timeoutOrElse({
    duration: config.timeout * 1000,
    orElse: () =>
      Effect.fail(failed(config, "timeout", `gave no whole answer in ${config.timeout} s`, { retryable: true }))
  })

/** Sends a body and reads the whole JSON answer. */
export const exchange = (
  config: EndpointConfig,
  key: Key,
  json: Json.JsonObject
): Effect.Effect<unknown, EndpointFailed> =>
  send(config, key, json).pipe(
    Effect.flatMap((response) => text(config, key, response, LARGEST)),
    Effect.flatMap((content) => parsed(config, content)),
    timed(config)
  )

/** Sends a body and gives the server-sent events' JSON as they come, up to `[DONE]`. An end without it is a lost connection. */
export const events = (
  config: EndpointConfig,
  key: Key,
  json: Json.JsonObject
): Stream.Stream<unknown, EndpointFailed> =>
  Stream.suspend(() => {
    let done = false
    const unfinished = Stream.suspend(() =>
      done ? Stream.empty : Stream.fail(dropped(config, key)({ message: "the stream ended without [DONE]" }))
    )
    const utf8 = new TextDecoder("utf-8", { fatal: true })
    const characters = (chunk?: Uint8Array) =>
      Effect.try({
        try: () => utf8.decode(chunk, { stream: chunk !== undefined }),
        catch: () => failed(config, "malformed", "answers with bytes that are not UTF-8")
      })
    return Stream.unwrap(
      Effect.map(send(config, key, json).pipe(timed(config)), (response) => bounded(config, key, response, LARGEST))
    ).pipe(
      Stream.mapEffect((chunk) => characters(chunk)),
      Stream.concat(Stream.fromEffect(Effect.suspend(() => characters()))),
      Stream.filter((part) => part !== ""),
      Stream.pipeThroughChannel(Sse.decode<EndpointFailed, unknown>()),
      Stream.mapError((error) =>
        error instanceof EndpointFailed ? error : failed(config, "malformed", "answers with events that cannot be read")
      ),
      Stream.takeWhile(({ data }) => {
        done = data.trim() === "[DONE]"
        return !done
      }),
      Stream.mapEffect(({ data }) => parsed(config, scrub(data, key))),
      Stream.concat(unfinished),
      Stream.timeoutOrElse({
        duration: config.timeout * 1000,
        orElse: () =>
          Stream.fail(failed(config, "timeout", `sent nothing for ${config.timeout} s`, { retryable: true }))
      })
    )
  })
