/**
 * An endpoint as the `LanguageModel` of `effect/ai`: programs written for that service run on any OpenAI-compatible endpoint,
 * within its limits, with its retries and its cache.
 */
import { Effect, Layer, Stream } from "effect"
import { AiError, LanguageModel, OpenAiStructuredOutput, type Prompt, type Response, Tool } from "effect/ai"
import type * as Json from "../../dsl/Json.ts"
import * as Endpoint from "./Endpoint.ts"
import type { EndpointConfig } from "./EndpointConfig.ts"
import { EndpointFailed } from "./errors.ts"

export interface Options {
  readonly maxTokens: number
  readonly temperature: number
  readonly seed?: number
}

/**
 * The service for a chat endpoint.
 * **Details** Texts in and out, streams, and structured output by JSON schema. Tools, files and the completions API fail
 * with `InvalidUserInputError`. Failures keep their words: a used-up budget is a `QuotaExhaustedError`, a missing key an
 * `AuthenticationError`, an unusable answer an `InvalidOutputError`.
 */
export const layer = (config: EndpointConfig, options: Options): Layer.Layer<LanguageModel.LanguageModel> =>
  Layer.effect(LanguageModel.LanguageModel, make(config, options))

export const make = Effect.fnUntraced(function* (config: EndpointConfig, options: Options) {
  const endpoint = yield* Endpoint.open(config)
  return yield* LanguageModel.make({
    codecTransformer: OpenAiStructuredOutput.toCodecOpenAI,
    generateText: (asked) =>
      requestOf(config, options, "generateText", asked).pipe(
        Effect.flatMap((request) => Effect.mapError(endpoint.ask(request), errorOf("generateText"))),
        Effect.map(
          ({ answers, usage }): Array<Response.PartEncoded> => [
            { type: "text", text: answers[0]!.text },
            finish(answers[0]!.finish, usage)
          ]
        )
      ),
    streamText: (asked) =>
      Stream.unwrap(
        Effect.map(requestOf(config, options, "streamText", asked), (request) =>
          endpoint.stream(request).pipe(
            Stream.mapError(errorOf("streamText")),
            Stream.map(
              ({ finish: reason, text }): ReadonlyArray<Response.StreamPartEncoded> => [
                ...(text === "" ? [] : [{ type: "text-delta", id: ID, delta: text } as const]),
                ...(reason === undefined ? [] : [{ type: "text-end", id: ID } as const, finish(reason, undefined)])
              ]
            ),
            Stream.flattenIterable,
            (deltas) =>
              Stream.concat(Stream.succeed<Response.StreamPartEncoded>({ type: "text-start", id: ID }), deltas)
          )
        )
      )
  })
})

const ID = "0"

const finish = (
  reason: Endpoint.Answer["finish"],
  usage: Endpoint.Response["usage"] | undefined
): Response.FinishPartEncoded => ({
  type: "finish",
  reason,
  usage: {
    inputTokens: usage === undefined ? {} : { total: usage.promptTokens },
    outputTokens: usage === undefined ? {} : { total: usage.completionTokens }
  }
})

const requestOf = Effect.fnUntraced(function* (
  config: EndpointConfig,
  options: Options,
  method: string,
  { prompt, responseFormat, tools }: LanguageModel.ProviderOptions
): Effect.fn.Return<Endpoint.Request, AiError.AiError> {
  const refuse = (description: string) => errorWith(method, new AiError.InvalidUserInputError({ description }))
  if (config.api !== "chat") return yield* refuse("the endpoint offers completions, not a chat")
  if (tools.length > 0) return yield* refuse("tools are not offered to this endpoint")
  const messages = yield* Effect.forEach(prompt.content, (message) => {
    const text = textOf(message)
    return text === undefined
      ? Effect.fail(refuse(`a message of the role ${message.role} holds more than text`))
      : Effect.succeed(text)
  })
  if (responseFormat.type === "text") return { prompt: messages, ...options }
  const schema = yield* Effect.try({
    try: () =>
      Tool.getJsonSchemaFromSchema(responseFormat.schema, {
        transformer: OpenAiStructuredOutput.toCodecOpenAI
      }) as Json.JsonObject,
    catch: (cause) => refuse(`the schema has no JSON schema: ${cause instanceof Error ? cause.message : String(cause)}`)
  })
  return { prompt: messages, ...options, format: { name: responseFormat.objectName, schema } }
})

const textOf = (message: Prompt.Message): Endpoint.Message | undefined => {
  if (message.role === "tool") return undefined
  if (message.role === "system") return { role: "system", content: message.content }
  const parts: ReadonlyArray<{ readonly type: string; readonly text?: unknown }> = message.content
  const texts = parts.flatMap((part) => (part.type === "text" && typeof part.text === "string" ? [part.text] : []))
  return texts.length === parts.length ? { role: message.role, content: texts.join("") } : undefined
}

const errorWith = (method: string, reason: AiError.AiErrorReason) =>
  AiError.make({ module: "prefline/services", method, reason })

const errorOf =
  (method: string) =>
  (error: { readonly _tag: string; readonly message: string }): AiError.AiError =>
    errorWith(method, reasonOf(error))

const reasonOf = (error: { readonly _tag: string; readonly message: string }): AiError.AiErrorReason => {
  const description = error.message
  if (error._tag === "BudgetExceeded")
    return new AiError.QuotaExhaustedError({ metadata: { prefline: { description } } })
  if (error._tag === "KeyMissing") return new AiError.AuthenticationError({ kind: "MissingKey", description })
  if (!(error instanceof EndpointFailed)) return new AiError.UnknownError({ description })
  switch (error.kind) {
    case "malformed":
    case "too-large":
      return new AiError.InvalidOutputError({ description })
    case "withheld":
      return new AiError.ContentPolicyError({ description })
    case "status":
      if (error.status === 429) return new AiError.RateLimitError({ metadata: { prefline: { description } } })
      return error.status === 401 || error.status === 403
        ? new AiError.AuthenticationError({ kind: "Unknown", description })
        : new AiError.UnknownError({ description })
    default:
      return new AiError.NetworkError({ reason: "TransportError", method: "POST", url: error.url, description })
  }
}
