import { Effect, Schema, Stream } from "effect"
import { type Completion, type CompletionGroup, Completions, type Prompt, Prompts } from "../../dsl/artifacts.ts"
import { Count, NonNegative, Probability, withDefault } from "../../dsl/Params.ts"
import * as Progress from "../../dsl/Progress.ts"
import type * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Endpoint from "../../runtime/services/Endpoint.ts"
import { EndpointConfig, identityOf } from "../../runtime/services/EndpointConfig.ts"

/** Prompts whose answers are asked for together: bounds memory, changes no result. */
const PROMPTS_AT_ONCE = 64

const params = {
  endpoint: EndpointConfig,
  perPrompt: Count.pipe(withDefault(1)),
  /** Most tokens of an answer. */
  maxTokens: Count.pipe(withDefault(24)),
  temperature: NonNegative.pipe(withDefault(1)),
  topP: Schema.optionalKey(Probability.check(Schema.isGreaterThan(0))),
  /** Texts that end an answer; they are not part of it. */
  stop: Schema.optionalKey(Schema.NonEmptyArray(Schema.NonEmptyString)),
  /** What a chat is told before the prompt. */
  system: Schema.optionalKey(Schema.NonEmptyString),
  /** Put before an answer that begins without white space: chats drop the space that joins it to its prompt. */
  lead: Schema.String.pipe(withDefault("")),
  /** Asks for the log-probability of every token. */
  logProbs: Schema.Boolean.pipe(withDefault(false)),
  /**
   * `each`: one request an answer, with a seed of its own. `unseeded`: the same without a seed, for services that take none.
   * `together`: one request a prompt, which pays for the prompt once.
   */
  requests: Schema.Literals(["each", "unseeded", "together"]).pipe(withDefault("each"))
}
const Params = Schema.Struct(params)
export type Params = typeof Params.Type

/**
 * Answers each prompt `perPrompt` times through an endpoint.
 * **Details** Completions have no token ids: a policy that is trained on them encodes their text. `tokenLogProbs` are there
 * where they were asked for and the service gives them. Answer `i` of a prompt has a seed made of the prompt's id and `i`, so
 * adding prompts or answers changes none of the others; whether a service answers the same to the same seed is up to it.
 * Responses are kept by request: a run that failed or was interrupted asks only for what is missing. The endpoint's limits do
 * not enter the key. The prompt is sent as it is; a chat gets it as one message of a user.
 */
export const sampleRemote = Stage.make({
  name: "sample.remote",
  description: "Answers to prompts, through an OpenAI-compatible endpoint",
  module: import.meta.url,
  params,
  input: Prompts,
  output: Completions,
  resource: "network",
  random: true,
  source: { params: ["endpoint"], fingerprint: ({ endpoint }) => Effect.succeed(identityOf(endpoint)) },
  run: ({ input, params, rng }) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const endpoint = yield* Endpoint.open(params.endpoint)
        let done = 0
        return input.stream.pipe(
          Stream.grouped(PROMPTS_AT_ONCE),
          Stream.mapEffect((prompts) =>
            Effect.gen(function* () {
              const asked = prompts.map((prompt) => requests(params, prompt, rng))
              const responses = yield* endpoint.askAll(asked.flat())
              done += prompts.length
              const { completionTokens, cost, promptTokens } = yield* endpoint.spent
              const metrics = { tokens: promptTokens + completionTokens, ...(cost > 0 ? { cost } : {}) }
              yield* Progress.report({ done, unit: "prompts", metrics })
              const left = responses[Symbol.iterator]()
              return prompts.map((prompt, p): CompletionGroup => {
                const own = asked[p]!.map(() => left.next().value!)
                return { prompt, completions: own.flatMap(({ answers }) => answers.map(completionOf(params.lead))) }
              })
            })
          ),
          Stream.flattenIterable
        )
      })
    )
})

/** What is asked to answer one prompt. */
export const requests = (params: Params, prompt: Prompt, rng: Rng.Rng): ReadonlyArray<Endpoint.Request> => {
  const { logProbs, maxTokens, perPrompt, requests, stop, system, temperature, topP } = params
  const asked: Endpoint.Request = {
    prompt:
      system === undefined
        ? prompt.text
        : [
            { role: "system", content: system },
            { role: "user", content: prompt.text }
          ],
    maxTokens,
    temperature,
    ...(topP === undefined ? {} : { topP }),
    ...(stop === undefined ? {} : { stop }),
    ...(logProbs ? { logProbs } : {})
  }
  const draws = rng.fork(prompt.id)
  const seedOf = (i: number) => draws.fork(i).int(0, 2 ** 31)
  if (requests === "together") return [{ ...asked, n: perPrompt, seed: seedOf(0) }]
  return Array.from({ length: perPrompt }, (_, i) =>
    requests === "each" ? { ...asked, seed: seedOf(i) } : { ...asked, draw: seedOf(i) }
  )
}

const completionOf =
  (lead: string) =>
  ({ finish, logProbs, text }: Endpoint.Answer): Completion => ({
    text: /^\S/.test(text) ? lead + text : text,
    finish,
    ...(logProbs === undefined ? {} : { tokenLogProbs: logProbs })
  })
