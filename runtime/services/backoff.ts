/** When a failed request is sent again. */
import { Clock, Effect, Random } from "effect"
import { EndpointFailed } from "./errors.ts"

const FIRST = 500
const LONGEST = 30_000

/** The wait that a `Retry-After` header asks for, in milliseconds from `now`; a number of seconds or an HTTP date. */
export const retryAfter = (header: string | undefined, now: number): number | undefined => {
  if (header === undefined) return undefined
  const text = header.trim()
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  const date = /^[A-Z][a-z]{2}, /.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

/**
 * The wait before attempt `attempt + 1`, in milliseconds: half a second doubled with each attempt, at most 30 s, of which a
 * random half is taken off, so that those who failed together do not come again together; at least what the server asks.
 */
export const wait = (attempt: number, asked: number | undefined, longest: number, uniform: number): number => {
  const backoff = Math.min(LONGEST, FIRST * 2 ** (attempt - 1)) * (1 - uniform / 2)
  return Math.max(backoff, Math.min(asked ?? 0, longest))
}

/** Runs an attempt again while its failure is retryable, at most `retries` times; the last failure says how often. */
export const retrying = <A, E, R>(
  attempt: (n: number) => Effect.Effect<A, E | EndpointFailed, R>,
  { longestWait, retries }: { readonly retries: number; readonly longestWait: number }
): Effect.Effect<A, E | EndpointFailed, R> => {
  const from = (n: number): Effect.Effect<A, E | EndpointFailed, R> =>
    Effect.catch(attempt(n), (error) => {
      if (!(error instanceof EndpointFailed)) return Effect.fail(error)
      const failed = new EndpointFailed({ ...error, attempts: n })
      if (!error.retryable || n > retries) return Effect.fail(failed)
      return Effect.gen(function* () {
        const delay = wait(n, error.retryAfter, longestWait * 1000, yield* Random.next)
        yield* Effect.logDebug(`${failed.message}; again in ${Math.round(delay)} ms`)
        yield* Effect.sleep(delay)
        return yield* from(n + 1)
      })
    })
  return Effect.suspend(() => from(1))
}

/** `retryAfter` of a response, by the clock in force. */
export const askedWait = (header: string | undefined): Effect.Effect<number | undefined> =>
  Effect.map(Clock.currentTimeMillis, (now) => retryAfter(header, now))
