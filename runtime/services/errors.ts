/** What can go wrong with a language model behind a network. No message holds a key: what a server says is scrubbed of it. */
import { Schema } from "effect"

/** Tokens and money, in the unit of the prices, that requests of this run cost; answers out of the cache cost nothing. */
export const Spent = Schema.Struct({
  requests: Schema.Int,
  promptTokens: Schema.Int,
  completionTokens: Schema.Int,
  cost: Schema.Finite
})
export type Spent = typeof Spent.Type

export const FailureKind = Schema.Literals([
  "unreachable",
  "timeout",
  "dropped",
  "status",
  "redirected",
  "malformed",
  "too-large",
  "withheld"
])
export type FailureKind = typeof FailureKind.Type

/**
 * An endpoint gave no usable answer.
 * **Details** `unreachable`: no connection. `timeout`: nothing in time. `dropped`: the connection ended before the answer
 * did. `status`: an HTTP status of failure. `redirected`: it points elsewhere, where keys do not follow. `malformed`: the
 * answer is not what the API says. `too-large`: more bytes than are read. `withheld`: the service refused to show its answer.
 * `retryable` says whether asking again later may help; the endpoint's own retries are used up by then.
 */
export class EndpointFailed extends Schema.TaggedError<EndpointFailed>()("EndpointFailed", {
  url: Schema.String,
  model: Schema.String,
  kind: FailureKind,
  problem: Schema.String,
  retryable: Schema.Boolean,
  attempts: Schema.Int,
  status: Schema.optionalKey(Schema.Int),
  /** What the server asks to wait, in milliseconds. */
  retryAfter: Schema.optionalKey(Schema.Finite),
  /** What had come of the answer before the connection was lost; for streams only. */
  partial: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const tried = this.attempts > 1 ? ` (tried ${this.attempts} times)` : ""
    return `the language model ${this.model} at ${this.url} ${this.problem}${tried}`
  }
}

/** Asking on could cost more than is allowed. Answers that came are kept in the store: with a larger budget the run goes on. */
export class BudgetExceeded extends Schema.TaggedError<BudgetExceeded>()("BudgetExceeded", {
  url: Schema.String,
  model: Schema.String,
  limit: Schema.String,
  /** The most that the next request can cost. */
  next: Schema.String,
  spent: Spent
}) {
  override get message() {
    const { completionTokens, cost, promptTokens, requests } = this.spent
    const money = cost > 0 ? `, ${Number(cost.toFixed(6))} of money` : ""
    const so = `${requests} requests took ${promptTokens} prompt and ${completionTokens} completion tokens${money}`
    return `the budget of ${this.limit} for ${this.model} at ${this.url} does not allow the next request (at most ${this.next}): so far ${so}; answers that came are kept, a larger budget goes on from there`
  }
}

/** What is asked for has no words in the endpoint's API. Never transient. */
export class RequestUnsupported extends Schema.TaggedError<RequestUnsupported>()("RequestUnsupported", {
  url: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.url}: ${this.problem}`
  }
}

/** The environment has no key under the name that the endpoint gives. */
export class KeyMissing extends Schema.TaggedError<KeyMissing>()("KeyMissing", {
  variable: Schema.String,
  url: Schema.String
}) {
  override get message() {
    return `no API key for ${this.url}: set the environment variable ${this.variable}`
  }
}

export type AskError = EndpointFailed | BudgetExceeded | KeyMissing | RequestUnsupported
