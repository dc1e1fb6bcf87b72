/** An OpenAI-compatible endpoint as a parameter: what is asked, and how much asking is allowed. */
import { Schema } from "effect"
import type * as Json from "../../dsl/Json.ts"
import { Count, Index, NonNegative, Positive, withDefault } from "../../dsl/Params.ts"

/** Refuses without repeating the value: a key given in place of a name must not be shown. */
const refusing = (problem: string, accepted: (text: string) => boolean) =>
  Schema.String.check(Schema.makeFilter((text) => accepted(text) || problem)).annotate({ expected: problem })

/** Whether a text is an address without anything in it that could be a secret. */
const isPlainUrl = (text: string): boolean => {
  const url = URL.parse(text)
  if (url === null || !["http:", "https:"].includes(url.protocol)) return false
  return url.username === "" && url.password === "" && url.search === "" && url.hash === ""
}

const Budget = Schema.Struct({
  /** Prompt and completion tokens together. */
  tokens: Schema.optionalKey(Count),
  /** Money, in the unit of the prices. */
  cost: Schema.optionalKey(Positive),
  /** Money for a million tokens. */
  promptPrice: NonNegative.pipe(withDefault(0)),
  completionPrice: NonNegative.pipe(withDefault(0))
}).check(
  Schema.makeFilter(
    ({ completionPrice, cost, promptPrice }) =>
      cost === undefined ||
      promptPrice + completionPrice > 0 ||
      "a budget of money needs promptPrice or completionPrice"
  )
)

/**
 * Where a language model is, and within which limits it is asked.
 * **Details** What enters keys is `identityOf`: address (or `identity` in its place), model and API. Limits, retries and
 * the name of the key say how answers are got, not which, and do not. Concurrency and rates are shared by all that asks one
 * endpoint in a process; the budget is that of one use (a node).
 */
export const EndpointConfig = Schema.Struct({
  /** Up to and with the version: `https://api.openai.com/v1`. Without user, password or query. */
  url: refusing(
    "an http or https address without user, password, query or fragment, such as https://host/v1",
    isPlainUrl
  ),
  model: Schema.NonEmptyString,
  /** `completions` continues a text; `chat` answers messages. */
  api: Schema.Literals(["completions", "chat"]).pipe(withDefault("chat")),
  /** The name of the environment variable that holds the key, never the key. */
  apiKey: Schema.optionalKey(
    refusing("the name of an environment variable in capitals, such as OPENAI_API_KEY, never the key itself", (name) =>
      /^[A-Z_][A-Z0-9_]*$/.test(name)
    )
  ),
  /** Stands for the address in keys: give it where one service is reached at changing addresses. */
  identity: Schema.optionalKey(Schema.NonEmptyString),
  /** What the server calls the limit of an answer's tokens. */
  tokensField: Schema.Literals(["max_tokens", "max_completion_tokens"]).pipe(withDefault("max_tokens")),
  /** Requests under way at a time. */
  concurrency: Count.pipe(withDefault(8)),
  requestsPerMinute: Schema.optionalKey(Count),
  /** Prompt tokens, estimated as a quarter of the bytes, and the most that may be answered. */
  tokensPerMinute: Schema.optionalKey(Count),
  /** Seconds for one attempt, the whole answer included. */
  timeout: Positive.pipe(withDefault(120)),
  /** Attempts after the first one, on 429, 5xx and lost connections. */
  retries: Index.pipe(withDefault(6)),
  /** Seconds that a server's `Retry-After` is heeded at most. */
  longestWait: Positive.pipe(withDefault(60)),
  budget: Schema.optionalKey(Budget)
})
export type EndpointConfig = typeof EndpointConfig.Type

/** What decides which answers come: enters the keys of nodes and of cached responses. */
export const identityOf = ({ api, identity, model, url }: EndpointConfig): Json.JsonObject => ({
  at: identity ?? url.replace(/\/+$/, ""),
  model,
  api
})
