/** How much may be asked at a time, in a minute, and in all. */
import { Context, Effect, Semaphore } from "effect"
import { RateLimiter } from "effect/persistence"
import * as Json from "../../dsl/Json.ts"
import type { EndpointConfig } from "./EndpointConfig.ts"
import { BudgetExceeded, type Spent } from "./errors.ts"
import { estimate, type Request, type Usage } from "./wire.ts"

/** What all that ask one endpoint under the same limits share. */
interface Pool {
  readonly permits: Semaphore.Semaphore
  readonly limiter: RateLimiter.RateLimiter
}

/** The pools of this process. Worker processes have their own. */
export const Pools = Context.Reference<Map<string, Pool>>("prefline/services/Pools", {
  defaultValue: () => new Map()
})

const poolOf = Effect.fnUntraced(function* (config: EndpointConfig) {
  const pools = yield* Pools
  const { concurrency, model, requestsPerMinute = 0, tokensPerMinute = 0, url } = config
  const name = Json.canonicalUnsafe({ url, model, concurrency, requestsPerMinute, tokensPerMinute })
  const limiter = yield* RateLimiter.make.pipe(Effect.provide(RateLimiter.layerStoreMemory))
  const pool = pools.get(name) ?? { permits: Semaphore.makeUnsafe(concurrency), limiter }
  pools.set(name, pool)
  return pool
})

/** Runs one attempt when its turn comes: first within the rates, then as one of those under way. */
export const within = Effect.fnUntraced(function* (config: EndpointConfig) {
  const { limiter, permits } = yield* poolOf(config)
  const take = (key: string, limit: number | undefined, tokens: number) =>
    limit === undefined
      ? Effect.void
      : limiter
          .consume({ algorithm: "fixed-window", onExceeded: "delay", window: "1 minute", key, limit, tokens })
          .pipe(
            Effect.orDie, // memory does not fail, and what is too much is delayed
            Effect.flatMap(({ delay }) => Effect.sleep(delay))
          )
  return (request: Request) =>
    <A, E, R>(attempt: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      take("requests", config.requestsPerMinute, 1).pipe(
        Effect.andThen(take("tokens", config.tokensPerMinute, mostTokens(request))),
        Effect.andThen(permits.withPermit(attempt))
      )
})

const mostTokens = (request: Request) => estimate(request.prompt) + (request.n ?? 1) * request.maxTokens

/** What was spent so far, and what may be spent by requests under way. */
export interface Ledger {
  readonly spent: () => Spent
  /** Sets aside the most that a request can cost, or fails if that is more than is left. */
  readonly reserve: (request: Request) => Effect.Effect<Reserved, BudgetExceeded>
}

export interface Reserved {
  /** What it came to. */
  readonly settle: (usage: Usage) => Effect.Effect<void>
  /** Nothing was answered. */
  readonly release: Effect.Effect<void>
}

export const makeLedger = (config: EndpointConfig): Ledger => {
  const { completionPrice = 0, cost: money, promptPrice = 0, tokens } = config.budget ?? {}
  const costOf = (usage: Usage) => (usage.promptTokens * promptPrice + usage.completionTokens * completionPrice) / 1e6
  const spent = { requests: 0, promptTokens: 0, completionTokens: 0, cost: 0 }
  const reserved = { tokens: 0, cost: 0 }
  const reserve = (sign: 1 | -1, most: Usage) => {
    reserved.tokens += sign * (most.promptTokens + most.completionTokens)
    reserved.cost += sign * costOf(most)
  }
  return {
    spent: () => ({ ...spent }),
    reserve: (request) =>
      Effect.suspend(() => {
        const most = { promptTokens: estimate(request.prompt), completionTokens: (request.n ?? 1) * request.maxTokens }
        const next = most.promptTokens + most.completionTokens
        const used = spent.promptTokens + spent.completionTokens + reserved.tokens
        const exceeded = (limit: string, next: string) =>
          Effect.fail(new BudgetExceeded({ url: config.url, model: config.model, limit, next, spent: { ...spent } }))
        if (tokens !== undefined && used + next > tokens) return exceeded(`${tokens} tokens`, `${next} tokens`)
        if (money !== undefined && spent.cost + reserved.cost + costOf(most) > money)
          return exceeded(`${money} of money`, `${costOf(most)} of money`)
        reserve(1, most)
        return Effect.succeed({
          settle: (usage) =>
            Effect.sync(() => {
              reserve(-1, most)
              spent.requests++
              spent.promptTokens += usage.promptTokens
              spent.completionTokens += usage.completionTokens
              spent.cost += costOf(usage)
            }),
          release: Effect.sync(() => reserve(-1, most))
        })
      })
  }
}
