/** An endpoint under programs that know only `effect/ai`. */
import { assert, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import { EndpointConfig } from "../../../runtime/services/EndpointConfig.ts"
import * as Service from "../../../runtime/services/languageModel.ts"
import { type Behaviour, chatEvents, chatReply, eventText, json, peer } from "../../services/peer.ts"

const at = Effect.fnUntraced(function* (behaviour: Behaviour, rest: object = {}) {
  const { asked, url } = yield* peer(behaviour)
  const config = EndpointConfig.make({ url, model: "m", retries: 0, ...rest })
  return { asked, layer: Service.layer(config, { maxTokens: 20, temperature: 0 }) }
})

it.live("texts, streams and objects", () =>
  Effect.gen(function* () {
    const { asked, layer } = yield* at((request, response) => {
      if (request.body["stream"]) return response.end([...chatEvents(["He", "llo"]), "[DONE]"].map(eventText).join(""))
      return json(response, chatReply(request.body["response_format"] ? '{"grade":7}' : "Hello"))
    })
    const [text, streamed, object] = yield* Effect.all([
      LanguageModel.generateText({
        prompt: [
          { role: "system", content: "Be kind." },
          { role: "user", content: [{ type: "text", text: "Hi" }] }
        ]
      }),
      Stream.runCollect(LanguageModel.streamText({ prompt: "Hi" })),
      LanguageModel.generateObject({
        prompt: "Grade it.",
        objectName: "grade",
        schema: Schema.Struct({ grade: Schema.Int })
      })
    ]).pipe(Effect.provide(layer))
    assert.strictEqual(text.text, "Hello")
    assert.deepStrictEqual(
      [text.finishReason, text.usage.inputTokens.total, text.usage.outputTokens.total],
      ["stop", 10, 5]
    )
    const deltas = streamed.flatMap((part) => (part.type === "text-delta" ? [part.delta] : []))
    assert.deepStrictEqual(deltas, ["He", "llo"])
    assert.deepStrictEqual(object.value, { grade: 7 })
    const bodies = asked.map(({ body }) => body)
    assert.deepStrictEqual(bodies.find(({ messages }) => messages.length === 2)!["messages"], [
      { role: "system", content: "Be kind." },
      { role: "user", content: "Hi" }
    ])
    const format = bodies.find((body) => body["response_format"])!["response_format"]
    assert.strictEqual(format.json_schema.name, "grade")
    assert.deepStrictEqual(format.json_schema.schema.required, ["grade"])
  }).pipe(Effect.scoped)
)

it.live("failures keep their words and their kinds", () =>
  Effect.gen(function* () {
    const reason = (behaviour: Behaviour, rest: object = {}) =>
      Effect.flatMap(at(behaviour, rest), ({ layer }) =>
        Effect.flip(LanguageModel.generateText({ prompt: "Hi" })).pipe(
          Effect.provide(layer),
          Effect.map(({ reason }) => reason)
        )
      )
    const status =
      (code: number): Behaviour =>
      (_, response) =>
        json(response, { error: { message: "so" } }, code)
    assert.strictEqual((yield* reason(status(429)))._tag, "RateLimitError")
    assert.strictEqual((yield* reason(status(401)))._tag, "AuthenticationError")
    assert.match((yield* reason((_, response) => response.end("<html>"))).message, /not JSON/)
    assert.strictEqual((yield* reason((_, response) => response.destroy()))._tag, "NetworkError")
    assert.strictEqual((yield* reason(status(500), { budget: { tokens: 3 } }))._tag, "QuotaExhaustedError")
    assert.strictEqual((yield* reason(status(500), { apiKey: "NOT_SET_HERE" }))._tag, "AuthenticationError")
    assert.match((yield* reason(status(500), { api: "completions" })).message, /not a chat/)
  }).pipe(Effect.scoped)
)
