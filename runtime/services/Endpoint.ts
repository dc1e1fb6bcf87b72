/**
 * A language model behind an OpenAI-compatible API: asked within its limits, again where that can help, and never twice for
 * the same. Every answer is kept before it is handed on.
 */
import { Config, Effect, Option, Pull, Redacted, type Result, Semaphore, Stream } from "effect"
import type * as Json from "../../dsl/Json.ts"
import { retrying } from "./backoff.ts"
import type { EndpointConfig } from "./EndpointConfig.ts"
import { type AskError, EndpointFailed, KeyMissing, RequestUnsupported, type Spent } from "./errors.ts"
import { makeLedger, within } from "./limits.ts"
import { type CacheUnwritable, keyOf, none, ResponseCache } from "./ResponseCache.ts"
import { events, exchange, failed, type Key } from "./transport.ts"
import * as Wire from "./wire.ts"

export type { Answer, Message, Request, Response } from "./wire.ts"

/** A piece of a streamed answer; the last one says how it ended. */
export interface Delta {
  readonly text: string
  readonly finish?: Wire.Answer["finish"]
  readonly logProbs?: ReadonlyArray<Wire.TokenLogProb>
}

export interface Endpoint {
  readonly config: EndpointConfig
  /** The answers to one request. */
  readonly ask: (request: Wire.Request) => Effect.Effect<Wire.Response, AskError | CacheUnwritable>
  /**
   * The answers to many, in order. After a failure no new request is sent, but those under way are finished and kept; then
   * it fails with the first failure in order.
   */
  readonly askAll: (
    requests: ReadonlyArray<Wire.Request>
  ) => Effect.Effect<ReadonlyArray<Wire.Response>, AskError | CacheUnwritable>
  /**
   * One answer as it comes; `n` must be 1. A connection lost before the first piece is tried again; one lost later fails
   * with `partial`, the text so far. A whole answer is kept as if it had not been streamed, and a kept one comes as one piece.
   */
  readonly stream: (request: Wire.Request) => Stream.Stream<Delta, AskError | CacheUnwritable>
  readonly spent: Effect.Effect<Spent>
}

/** Opens an endpoint. The key is read when it is first needed: what is all cached needs none. */
export const open = Effect.fnUntraced(function* (config: EndpointConfig): Effect.fn.Return<Endpoint> {
  const cache = yield* ResponseCache
  const turn = yield* within(config)
  const ledger = makeLedger(config)
  const apiKey = keyIn(config)

  const answersIn = (json: unknown, n: number) =>
    Effect.gen(function* () {
      const found = yield* orMalformed(config, Wire.pieces(config, json, true))
      const answers = yield* usable(config, Wire.answers(found.pieces, n))
      return { answers, ...(found.usage ? { usage: found.usage } : {}) } satisfies Wire.Response as Wire.Response
    })
  const usageOf = (request: Wire.Request, { answers, usage }: Wire.Response): Wire.Usage =>
    usage ?? {
      promptTokens: Wire.estimate(request.prompt),
      completionTokens: answers.reduce((sum, { logProbs, text }) => sum + (logProbs?.length ?? Wire.estimate(text)), 0)
    }

  /** Whoever asks what is being asked waits, and then finds it answered. */
  const underway = new Map<string, { readonly permit: Semaphore.Semaphore; asking: number }>()
  const oneAtATime = <A, E>(key: string, effect: Effect.Effect<A, E>) =>
    Effect.suspend(() => {
      const turns = underway.get(key) ?? { permit: Semaphore.makeUnsafe(1), asking: 0 }
      underway.set(key, turns)
      turns.asking++
      const leave = Effect.sync(() => --turns.asking === 0 && underway.delete(key))
      return Effect.ensuring(turns.permit.withPermit(effect), leave)
    })

  const fetched = Effect.fnUntraced(function* (request: Wire.Request, key: string) {
    const secret = yield* apiKey
    const json = Wire.body(config, request)
    const reserved = yield* ledger.reserve(request)
    const received = yield* retrying(() => turn(request)(exchange(config, secret, json)), config).pipe(
      Effect.onExit((exit) => (exit._tag === "Failure" ? reserved.release : Effect.void))
    )
    const response = yield* Effect.onExit(answersIn(received, request.n ?? 1), (exit) =>
      exit._tag === "Success"
        ? reserved.settle(usageOf(request, exit.value))
        : reserved.settle(unusedUsage(request, received))
    )
    yield* cache.put(key, json, response)
    return response
  })
  const ask = Effect.fn("Endpoint.ask")(function* (request: Wire.Request) {
    yield* checked(config, request)
    const key = keyOf(config, request)
    const answered = Effect.gen(function* () {
      const known = yield* cache.get(key)
      return Option.isSome(known) && known.value.answers.length === (request.n ?? 1)
        ? known.value
        : yield* fetched(request, key)
    })
    return yield* cache === none ? answered : oneAtATime(key, answered)
  })
  const stream = (request: Wire.Request): Stream.Stream<Delta, AskError | CacheUnwritable> =>
    Stream.unwrap(
      Effect.gen(function* () {
        yield* checked(config, request)
        const key = keyOf(config, request)
        const known = yield* cache.get(key)
        if (Option.isSome(known)) return Stream.make(deltaOf(known.value.answers[0]!))
        const secret = yield* apiKey
        const reserved = yield* ledger.reserve(request)
        let open = true // until it is known what the answer cost
        return streamed(config, request, secret, turn).pipe(
          Stream.mapEffect((event) => {
            if (!("whole" in event)) return Effect.succeed([event])
            open = false
            const keep = cache.put(key, Wire.body(config, request), event.whole)
            return reserved.settle(usageOf(request, event.whole)).pipe(Effect.andThen(keep), Effect.as([]))
          }),
          Stream.onExit(() => (open ? reserved.release : Effect.void)),
          Stream.flattenIterable
        )
      })
    )
  return {
    config,
    ask,
    askAll: (requests) => allOf(requests, ask, config.concurrency),
    stream,
    spent: Effect.sync(ledger.spent)
  }
})

const keyIn = ({ apiKey, url }: EndpointConfig): Effect.Effect<Key, KeyMissing> =>
  apiKey === undefined
    ? Effect.succeed(undefined)
    : Effect.gen(function* () {
        const key = yield* Config.Redacted(apiKey)
        return Redacted.value(key) === "" ? yield* new KeyMissing({ variable: apiKey, url }) : key
      }).pipe(Effect.mapError(() => new KeyMissing({ variable: apiKey, url })))

const checked = (
  { api, url }: EndpointConfig,
  { format, prompt }: Wire.Request
): Effect.Effect<void, RequestUnsupported> => {
  const unsupported = (what: string) =>
    Effect.fail(new RequestUnsupported({ url, problem: `the completions API has no ${what}; set api to "chat"` }))
  if (api === "chat") return Effect.void
  if (typeof prompt !== "string") return unsupported("messages, which a system text takes")
  return format === undefined ? Effect.void : unsupported("structured output")
}

const orMalformed = <A>(config: EndpointConfig, result: Result.Result<A, string>) =>
  Effect.mapError(Effect.fromResult(result), (problem) =>
    failed(config, "malformed", `answers otherwise than the API says: ${problem}`)
  )

const usable = <A>(
  config: EndpointConfig,
  result: Result.Result<A, { readonly kind: "withheld" | "malformed"; readonly problem: string }>
) => Effect.mapError(Effect.fromResult(result), ({ kind, problem }) => failed(config, kind, problem))

/** What an unusable answer cost: what the server says, else the prompt. */
const unusedUsage = (request: Wire.Request, json: unknown): Wire.Usage => {
  const usage = (
    json as { readonly usage?: { readonly prompt_tokens?: unknown; readonly completion_tokens?: unknown } } | null
  )?.usage
  const count = (value: unknown, fallback: number) =>
    Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : fallback
  return {
    promptTokens: count(usage?.prompt_tokens, Wire.estimate(request.prompt)),
    completionTokens: count(usage?.completion_tokens, 0)
  }
}

const deltaOf = ({ finish, logProbs, text }: Wire.Answer): Delta => ({
  text,
  finish,
  ...(logProbs ? { logProbs } : {})
})

/** Pieces as they come, then the whole. */
const streamed = (
  config: EndpointConfig,
  request: Wire.Request,
  key: Key,
  turn: Effect.Success<ReturnType<typeof within>>
): Stream.Stream<Delta | { readonly whole: Wire.Response }, EndpointFailed> => {
  const json: Json.JsonObject = {
    ...Wire.body(config, request),
    stream: true,
    stream_options: { include_usage: true }
  }
  const attempt = (n: number): Stream.Stream<Delta | { readonly whole: Wire.Response }, EndpointFailed> =>
    Stream.suspend(() => {
      const parts: Array<Wire.Piece> = []
      let usage: Wire.Usage | undefined
      const take = (message: unknown) =>
        Effect.gen(function* () {
          const said = (message as { readonly error?: { readonly message?: unknown } } | null)?.error?.message
          if (typeof said === "string") return yield* failed(config, "status", `broke off: ${said.slice(0, 300)}`)
          const found = yield* orMalformed(config, Wire.pieces(config, message, false))
          usage = found.usage ?? usage
          parts.push(...found.pieces)
          return found.pieces.flatMap(
            ({ logProbs, text }): ReadonlyArray<Delta> =>
              text === "" ? [] : [{ text, ...(logProbs ? { logProbs } : {}) }]
          )
        })
      const end = Effect.gen(function* () {
        if (!parts.some(({ finish }) => finish !== undefined)) {
          const problem = "ended its stream without saying how the answer finished"
          return yield* failed(config, "dropped", problem, { retryable: true })
        }
        const answers = yield* usable(config, Wire.answers(parts, 1))
        return [{ text: "", finish: answers[0]!.finish }, { whole: { answers, ...(usage ? { usage } : {}) } }]
      })
      const text = () => parts.map((part) => part.text).join("")
      return events(config, key, json).pipe(
        Stream.mapEffect(take),
        Stream.flattenIterable,
        Stream.concat(Stream.flattenIterable(Stream.fromEffect(end))),
        Stream.mapError(
          (error) => new EndpointFailed({ ...error, attempts: n, ...(text() === "" ? {} : { partial: text() }) })
        )
      )
    })
  return Stream.unwrap(
    retrying(
      (n) =>
        turn(request)(
          // The first piece decides: what fails before it may be tried again.
          Effect.flatMap(Stream.toPull(attempt(n)), (pull) =>
            Pull.catchDone(
              Effect.map(pull, (first) => ({ first, pull })),
              () => Effect.fail(failed(config, "dropped", "sent an empty stream"))
            )
          )
        ),
      config
    ).pipe(
      Effect.map(({ first, pull }) => Stream.concat(Stream.fromIterable(first), Stream.fromPull(Effect.succeed(pull))))
    )
  )
}

const allOf = Effect.fnUntraced(function* <E>(
  requests: ReadonlyArray<Wire.Request>,
  ask: (request: Wire.Request) => Effect.Effect<Wire.Response, E>,
  concurrency: number
) {
  let stopped = false
  const exits = yield* Effect.forEach(
    requests,
    (request) =>
      Effect.suspend(() => (stopped ? Effect.succeed(undefined) : Effect.exit(ask(request)))).pipe(
        Effect.tap((exit) => Effect.sync(() => (stopped ||= exit !== undefined && exit._tag === "Failure")))
      ),
    { concurrency }
  )
  const failure = exits.find((exit) => exit !== undefined && exit._tag === "Failure")
  if (failure !== undefined) yield* failure
  return exits.map((exit) => (exit as Extract<typeof exit, { readonly _tag: "Success" }>).value)
})
