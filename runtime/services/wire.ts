/**
 * Requests and responses of the OpenAI API, as far as they are used: completions, chat completions, and their streams.
 * **Source** OpenAI API reference, `/v1/completions` and `/v1/chat/completions`; unknown fields are ignored.
 */
import { Result, Schema } from "effect"
import type * as Json from "../../dsl/Json.ts"
import type { EndpointConfig } from "./EndpointConfig.ts"

export interface Message {
  readonly role: "system" | "user" | "assistant"
  readonly content: string
}

export interface Request {
  /** A text is one user's message to a chat. Messages need a chat. */
  readonly prompt: string | ReadonlyArray<Message>
  readonly maxTokens: number
  readonly temperature: number
  readonly topP?: number
  /** Answers to this one prompt, 1 unless told. */
  readonly n?: number
  readonly seed?: number
  /** Tells requests apart that are otherwise equal and are each to be answered; not sent. */
  readonly draw?: number
  readonly stop?: ReadonlyArray<string>
  /** Asks for the log-probability of each token; a server may not give them. */
  readonly logProbs?: boolean
  /** Asks for JSON of this schema. */
  readonly format?: { readonly name: string; readonly schema: Json.JsonObject }
}

export const TokenLogProb = Schema.Struct({ token: Schema.String, logProb: Schema.Finite })
export type TokenLogProb = typeof TokenLogProb.Type

export const Answer = Schema.Struct({
  text: Schema.String,
  finish: Schema.Literals(["stop", "length"]),
  /** Nats, by token in order, where the server gives them. */
  logProbs: Schema.optionalKey(Schema.Array(TokenLogProb))
})
export type Answer = typeof Answer.Type

export const Usage = Schema.Struct({ promptTokens: Schema.Int, completionTokens: Schema.Int })
export type Usage = typeof Usage.Type

export const Response = Schema.Struct({
  answers: Schema.Array(Answer),
  /** What the server counted. */
  usage: Schema.optionalKey(Usage)
})
export type Response = typeof Response.Type

/** The request's own part of the key: what is sent, but for how it is sent. */
export const body = (config: EndpointConfig, request: Request): Json.JsonObject => {
  const { format, logProbs, maxTokens, n = 1, prompt, seed, stop, temperature, topP } = request
  const chat = config.api === "chat"
  const messages = typeof prompt === "string" ? [{ role: "user", content: prompt }] : prompt
  return {
    model: config.model,
    ...(chat ? { messages: messages as unknown as Json.Json } : { prompt: prompt as string }),
    [config.tokensField]: maxTokens,
    temperature,
    ...(n === 1 ? {} : { n }),
    ...(topP === undefined ? {} : { top_p: topP }),
    ...(seed === undefined ? {} : { seed }),
    ...(stop === undefined ? {} : { stop }),
    ...(logProbs === true ? (chat ? { logprobs: true } : { logprobs: 0 }) : {}),
    ...(format === undefined
      ? {}
      : { response_format: { type: "json_schema", json_schema: { ...format, strict: true } } as Json.JsonObject })
  }
}

const Nullish = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))
const Tokens = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const WireUsage = Nullish(Schema.Struct({ prompt_tokens: Tokens, completion_tokens: Nullish(Tokens) }))
const Finish = Nullish(Schema.String)
const ChatLogProbs = Nullish(
  Schema.Struct({ content: Nullish(Schema.Array(Schema.Struct({ token: Schema.String, logprob: Schema.Finite }))) })
)
const TextLogProbs = Nullish(
  Schema.Struct({
    tokens: Nullish(Schema.Array(Schema.String)),
    token_logprobs: Nullish(Schema.Array(Schema.NullOr(Schema.Finite)))
  })
)
const Text = Nullish(Schema.Struct({ content: Nullish(Schema.String), refusal: Nullish(Schema.String) }))
/** A choice of either API, whole or a piece of a stream. */
const Choice = Schema.Struct({
  index: Nullish(Tokens),
  text: Nullish(Schema.String),
  message: Text,
  delta: Text,
  finish_reason: Finish,
  logprobs: Nullish(Schema.Struct({}))
})
const Envelope = Schema.Struct({ choices: Schema.Array(Choice), usage: WireUsage })
const decodeEnvelope = Schema.decodeUnknownResult(Envelope)
const decodeChatLogProbs = Schema.decodeUnknownResult(ChatLogProbs)
const decodeTextLogProbs = Schema.decodeUnknownResult(TextLogProbs)

/** One choice's part of what came. */
export interface Piece {
  readonly index: number
  readonly text: string
  readonly finish?: string
  readonly refused?: string
  readonly logProbs?: ReadonlyArray<TokenLogProb>
}

export interface Pieces {
  readonly pieces: ReadonlyArray<Piece>
  readonly usage?: Usage
}

/** The pieces in one JSON message, or what is wrong with it. A whole response is one message with a piece for each choice. */
export const pieces = (config: EndpointConfig, json: unknown, whole: boolean): Result.Result<Pieces, string> =>
  Result.gen(function* () {
    const { choices, usage } = yield* Result.mapError(decodeEnvelope(json), brief)
    const raw = (json as { readonly choices: ReadonlyArray<{ readonly logprobs?: unknown }> }).choices
    const found: Array<Piece> = []
    for (const [i, choice] of choices.entries()) {
      const part = whole ? choice.message : choice.delta
      const text = config.api === "chat" ? part?.content : choice.text
      if (whole && typeof text !== "string" && !part?.refusal && !isWithheld(choice.finish_reason ?? ""))
        return yield* Result.fail(`choice ${i} has no text`)
      const logProbs = yield* tokenLogProbs(config, raw[i]!.logprobs)
      found.push({
        index: choice.index ?? i,
        text: text ?? "",
        ...(choice.finish_reason ? { finish: choice.finish_reason } : {}),
        ...(part?.refusal ? { refused: part.refusal } : {}),
        ...(logProbs === undefined ? {} : { logProbs })
      })
    }
    const counted = usage
      ? { promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens ?? 0 }
      : undefined
    return { pieces: found, ...(counted ? { usage: counted } : {}) }
  })

const brief = (error: { readonly message: string }) => error.message.replace(/\s+/g, " ").slice(0, 300)

const tokenLogProbs = (
  config: EndpointConfig,
  json: unknown
): Result.Result<ReadonlyArray<TokenLogProb> | undefined, string> => {
  if (json === undefined || json === null) return Result.succeed(undefined)
  if (config.api === "chat")
    return Result.mapBoth(decodeChatLogProbs(json), {
      onFailure: brief,
      onSuccess: (given) => given?.content?.map(({ logprob, token }) => ({ token, logProb: logprob }))
    })
  return Result.flatMap(Result.mapError(decodeTextLogProbs(json), brief), (given) => {
    if (!given?.tokens || !given.token_logprobs) return Result.succeed(undefined)
    const values = given.token_logprobs
    if (values.length !== given.tokens.length || values.includes(null))
      return Result.fail("its log-probabilities are not one for each token")
    return Result.succeed(given.tokens.map((token, i) => ({ token, logProb: values[i]! })))
  })
}

/** A finish that says that the text is not the model's whole answer. */
export const isWithheld = (finish: string): boolean => finish === "content_filter"

/** The answer whose pieces these are, or what keeps them from being one. */
export const assemble = (
  parts: ReadonlyArray<Piece>
): Result.Result<Answer, { readonly kind: "withheld" | "malformed"; readonly problem: string }> => {
  const finish = parts.findLast((part) => part.finish !== undefined)?.finish
  const refused = parts.map((part) => part.refused ?? "").join("")
  if (refused !== "") return Result.fail({ kind: "withheld", problem: `refused to answer: ${refused.slice(0, 200)}` })
  if (finish !== undefined && isWithheld(finish))
    return Result.fail({ kind: "withheld", problem: "withheld its answer (content_filter)" })
  if (finish === "tool_calls" || finish === "function_call")
    return Result.fail({ kind: "malformed", problem: "called a tool, though it was offered none" })
  const logProbs = parts.flatMap((part) => part.logProbs ?? [])
  const given = parts.some((part) => part.logProbs !== undefined)
  return Result.succeed({
    text: parts.map(({ text }) => text).join(""),
    finish: finish === "length" ? "length" : "stop",
    ...(given ? { logProbs } : {})
  })
}

/** The answers of a request for `n`, in the order of their indices. */
export const answers = (
  all: ReadonlyArray<Piece>,
  n: number
): Result.Result<ReadonlyArray<Answer>, { readonly kind: "withheld" | "malformed"; readonly problem: string }> => {
  const byIndex = Array.from({ length: n }, (_, index) => all.filter((piece) => piece.index === index))
  const missing = byIndex.findIndex((parts) => parts.length === 0)
  if (missing >= 0 || all.some(({ index }) => index >= n)) {
    const problem = `gave answers with the indices ${[...new Set(all.map(({ index }) => index))].join(", ") || "none"} where ${n} ${n === 1 ? "was" : "were"} asked for`
    return Result.fail({ kind: "malformed", problem })
  }
  return Result.all(byIndex.map(assemble))
}

/** Tokens of a text by rule of thumb, where nobody has counted them: a quarter of its bytes. */
export const estimate = (prompt: Request["prompt"]): number => {
  const text = typeof prompt === "string" ? prompt : prompt.map(({ content }) => content).join("\n")
  return Math.ceil(new TextEncoder().encode(text).length / 4)
}
