/** One GET, with what can go wrong in it: refused, slow, cut off. */
import { Effect, Redacted, Schema, Stream } from "effect"

export interface Settings {
  readonly endpoint: string
  readonly token: Redacted.Redacted<string> | undefined
  /** Before the first retry, in milliseconds; then twice as long each time. */
  readonly backoff: number
  /** Longest silence of the other side, in milliseconds. */
  readonly patience: number
}

/** There is no usable answer. `status` where there is an answer at all. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  status: Schema.optionalKey(Schema.Int),
  problem: Schema.String,
  retryable: Schema.Boolean
}) {
  override get message() {
    return this.problem
  }
}

export type Body = Stream.Stream<Uint8Array, Refused>

/**
 * Asks for a URL of the endpoint and returns the body. Redirections are followed; to another origin they go without the
 * token, as the fetch standard has it.
 */
export const get = Effect.fnUntraced(function* (
  { endpoint, patience, token }: Settings,
  url: string
): Effect.fn.Return<Body, Refused> {
  const origin = yield* Effect.try({
    try: () => new URL(url).origin,
    catch: () => refused(`HF_ENDPOINT (${endpoint}) is no address`, false)
  })
  const headers = token === undefined ? {} : { authorization: `Bearer ${Redacted.value(token)}` }
  const response = yield* Effect.tryPromise({
    try: (signal) => fetch(url, { headers, signal }),
    catch: (cause) => refused(`${origin} cannot be reached: ${reasonOf(cause)}`, true)
  }).pipe(Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.fail(silent(origin, patience)) }))
  const { body, ok, status } = response
  if (!ok) {
    yield* Effect.promise(async () => body?.cancel().catch(() => undefined))
    const retryable = status === 429 || status >= 500
    return yield* new Refused({ status, problem: `${origin} answers ${status}`, retryable })
  }
  if (body === null) return Stream.empty
  return Stream.fromReadableStream<Uint8Array, Refused>({
    evaluate: () => body as ReadableStream<Uint8Array>,
    onError: (cause) => refused(`${origin} broke off: ${reasonOf(cause)}`, true)
  }).pipe(Stream.timeoutOrElse({ duration: patience, orElse: () => Stream.fail(silent(origin, patience)) }))
})

/** The body as text, refused if it is longer than `most` bytes. */
export const text = (body: Body, most: number): Effect.Effect<string, Refused> => {
  let length = 0
  return body.pipe(
    Stream.tap((chunk) => {
      length += chunk.length
      return length > most ? Effect.fail(refused(`an answer longer than ${most} bytes`, false)) : Effect.void
    }),
    Stream.decodeText(),
    Stream.mkString
  )
}

const refused = (problem: string, retryable: boolean) => new Refused({ problem, retryable })
const silent = (origin: string, patience: number) => refused(`${origin} is silent for ${patience / 1000} s`, true)

/** What `fetch` hides in the cause of its error; never the address, which may carry a signature. */
const reasonOf = (cause: unknown): string => {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  if (!(inner instanceof Error)) return String(inner)
  const { code } = inner as NodeJS.ErrnoException
  return code ?? inner.message
}
