import { Effect, Stream } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import * as Json from "../../../dsl/Json.ts"
import * as Endpoint from "../../../runtime/services/Endpoint.ts"
import { EndpointConfig } from "../../../runtime/services/EndpointConfig.ts"
import { Transport } from "../../../runtime/services/transport.ts"
import type { Draws } from "../Draws.ts"
import { mutateBytes } from "../mutateBytes.ts"
import { mutateJson } from "../mutateJson.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"

const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 }
const chat = {
  id: "x",
  choices: [
    {
      index: 0,
      message: { role: "assistant", content: "so so", refusal: null },
      finish_reason: "stop",
      logprobs: { content: [{ token: "so", logprob: -0.1, top_logprobs: [] }] }
    }
  ],
  usage
}
const plain = {
  choices: [
    { index: 0, text: " good", finish_reason: "length", logprobs: { tokens: [" good"], token_logprobs: [-0.5] } }
  ],
  usage
}
const delta = (text: string, finish: string | null) => ({
  choices: [{ index: 0, delta: { content: text }, finish_reason: finish }]
})
const refused = { error: { message: "no such model", code: "model_not_found", type: "invalid_request_error" } }

const APIS = ["chat", "completions", "stream"] as const

const answer = (api: (typeof APIS)[number], draws: Draws): string => {
  const one = (value: Json.Json) => (draws.chance(0.6) ? mutateJson(value, draws) : JSON.stringify(value))
  if (draws.chance(0.1)) return one(refused)
  if (api !== "stream") return one(api === "chat" ? chat : plain)
  const events = [delta("so", null), delta(" so", "stop")].map((event) => `data: ${one(event)}`)
  const between = draws.pick(["\n\n", "\r\n\r\n", "\n", "\n: kept alive\n\n"])
  return [...events, ...(draws.chance(0.8) ? ["data: [DONE]"] : []), ""].join(between)
}

const settings = (api: (typeof APIS)[number]) =>
  EndpointConfig.make({
    url: "http://127.0.0.1:9/v1",
    model: "tiny",
    api: api === "completions" ? "completions" : "chat",
    retries: 0,
    timeout: 5
  })

/** A server that answers every request with these bytes. */
const answering = (status: number, body: Uint8Array) =>
  HttpClient.make((request) =>
    Effect.succeed(
      HttpClientResponse.fromWeb(
        request,
        new Response(Uint8Array.from(body), {
          status,
          headers: {
            "content-type": "application/json",
            "retry-after": textOf(body.subarray(0, 3)).replace(/\W/g, "1")
          }
        })
      )
    )
  )

const STATUSES = [200, 200, 200, 200, 200, 200, 201, 302, 400, 401, 404, 429, 500, 503]

/** What an endpoint answers becomes a text with its finish, or an error that says what was wrong with it. */
export const endpoints: Target = {
  name: "answers of endpoints",
  weight: 5,
  refuses: ["EndpointFailed"],
  make: (draws) => {
    const api = draws.int(APIS.length)
    const body = bytesOf(answer(APIS[api]!, draws))
    return {
      how: Uint8Array.of(api, draws.int(STATUSES.length)),
      body: draws.chance(0.25) ? mutateBytes(body, draws) : body
    }
  },
  read: ({ body, how }) =>
    Effect.gen(function* () {
      const api = APIS[how![0]!]!
      const endpoint = yield* Endpoint.open(settings(api))
      const request = { prompt: "the food", maxTokens: 4, temperature: 0, logProbs: true }
      if (api === "stream") {
        const deltas = yield* Stream.runCollect(endpoint.stream(request))
        holds(deltas.at(-1)?.finish !== undefined, "a stream that ends well has said how")
        return
      }
      const { answers } = yield* endpoint.ask(request)
      holds(answers.length === 1 && typeof answers[0]!.text === "string", "one answer to one question")
      Json.canonicalUnsafe(answers)
    }).pipe(Effect.provideService(Transport, answering(STATUSES[how![1]!]!, body!)))
}
