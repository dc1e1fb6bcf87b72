import { assert, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Exit, Fiber } from "effect"
import * as Rng from "../../../dsl/Rng.ts"
import { Device, withoutLeak } from "../../../runtime/device/Device.ts"
import { generate, type Options, type Request } from "../../../runtime/models/generate.ts"
import * as Llama from "../../../runtime/models/Llama.ts"
import { scoreCompletions } from "../../../runtime/models/score.ts"
import { normals } from "../tensor/closeness.ts"
import * as Reference from "./reference.ts"

const config = Llama.LlamaConfig.make({
  vocab_size: 13,
  hidden_size: 16,
  intermediate_size: 20,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 24,
  tie_word_embeddings: false
})

const weights: Llama.Weights = new Map(
  [...Llama.shapes(config)].map(([name, shape]) => {
    const data = normals(
      name,
      shape.reduce((product, length) => product * length, 1),
      0.35
    )
    return [name, { shape, data: shape.length === 1 ? data.map((value) => 1 + value) : data }]
  })
)
const parameters = Reference.widened(weights)
const model = Llama.fromWeights(config, weights)

const rng = Rng.make(21, "requests")
const requests: ReadonlyArray<Request> = Array.from({ length: 23 }, (_, i) => ({
  prompt: [1, ...Array.from({ length: i % 7 }, (_, t) => rng.int(100 * i + t, 13))],
  rng: rng.fork(i),
  ...(i % 5 === 0 ? { maxTokens: 3 + i } : {})
}))
const options: Options = { maxTokens: 9, temperature: 1, stopTokens: [2, 5] }

for (const kind of ["wasm", "cpu"] as const)
  layer(Device.layer(kind))(`generate on ${kind}`, (it) => {
    it.effect("greedy equals the argmax of the reference's full forward pass, token by token", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const results = yield* generate(yield* model, requests.slice(0, 6), {
            maxTokens: 8,
            temperature: 0,
            stopTokens: []
          })
          for (const [i, { logProbs, tokens }] of results.entries()) {
            const sequence = [...requests[i]!.prompt]
            tokens.forEach((token, t) => {
              const expected = Reference.logSoftmax(Reference.logits(config, parameters, sequence).at(-1)!)
              assert.strictEqual(token, expected.indexOf(Math.max(...expected)), `request ${i}, token ${t}`)
              assert.closeTo(logProbs[t]!, expected[token]!, 3e-6)
              sequence.push(token)
            })
          }
        })
      )
    )

    it.effect(
      "log-probabilities are the model's own at temperature 1, stop token included, whatever the sampling",
      () =>
        withoutLeak(
          Effect.scoped(
            Effect.gen(function* () {
              const loaded = yield* model
              const results = yield* generate(loaded, requests, { ...options, temperature: 1.7, topK: 6, topP: 0.9 })
              const rows = results.map(({ stopToken, tokens }, i) => ({
                prompt: requests[i]!.prompt,
                completion: stopToken === undefined ? tokens : [...tokens, stopToken]
              }))
              const scores = yield* scoreCompletions(loaded, rows)
              for (const [i, { logProbs }] of results.entries()) {
                assert.strictEqual(logProbs.length, scores[i]!.length)
                for (const [t, value] of logProbs.entries()) assert.closeTo(value, scores[i]![t]!, 5e-6)
              }
              assert.isTrue(
                results.some(({ finish }) => finish === "stop") && results.some(({ finish }) => finish === "length")
              )
            })
          )
        )
    )

    it.effect("a request's result is the same alone, in any company and order, bit for bit", () =>
      withoutLeak(
        Effect.scoped(
          Effect.gen(function* () {
            const loaded = yield* model
            const together = yield* generate(loaded, requests, options)
            for (const batchSize of [1, 2, 5, 64])
              assert.deepStrictEqual(yield* generate(loaded, requests, { ...options, batchSize }), together)
            const reversed = yield* generate(loaded, [...requests].reverse(), { ...options, batchSize: 4 })
            assert.deepStrictEqual([...reversed].reverse(), together)
            const alone = yield* Effect.forEach(requests, (request) => generate(loaded, [request], options))
            assert.deepStrictEqual(alone.flat(), together)
            assert.isAbove(new Set(together.map(({ tokens }) => tokens.join())).size, 12)
          })
        )
      )
    )

    it.effect("draws follow the request's own generator: token t uses uniform(t)", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const asked: Array<number> = []
          const rng = {
            ...Rng.make(2, "spy"),
            uniform: (index: number) => {
              asked.push(index)
              return 0.5
            }
          }
          yield* generate(yield* model, [{ prompt: [1], rng }], { maxTokens: 4, temperature: 1, stopTokens: [] })
          assert.deepStrictEqual(asked, [0, 1, 2, 3])
        })
      )
    )

    it.effect("stop tokens end a completion and are not part of it; limits and the last position end it too", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const loaded = yield* model
          const greedy = { maxTokens: 100, temperature: 0, stopTokens: [] }
          const [free] = yield* generate(loaded, [{ prompt: [1, 3], rng }], greedy)
          assert.deepStrictEqual([free!.tokens.length, free!.finish], [22, "length"])
          const stopToken = free!.tokens[4]!
          const before = free!.tokens.indexOf(stopToken)
          const [stopped] = yield* generate(loaded, [{ prompt: [1, 3], rng }], { ...greedy, stopTokens: [stopToken] })
          assert.deepStrictEqual(stopped, {
            tokens: free!.tokens.slice(0, before),
            logProbs: free!.logProbs.slice(0, before + 1),
            finish: "stop",
            stopToken
          })
          const [short, none] = yield* generate(
            loaded,
            [
              { prompt: [1], rng, maxTokens: 2 },
              { prompt: [1], rng, maxTokens: 0 }
            ],
            greedy
          )
          assert.deepStrictEqual([short!.tokens.length, none], [2, { tokens: [], logProbs: [], finish: "length" }])
        })
      )
    )

    it.effect("an empty prompt and an unknown token are refused by request; no request gives no result", () =>
      withoutLeak(
        Effect.scoped(
          Effect.gen(function* () {
            const loaded = yield* model
            const refused = (prompt: ReadonlyArray<number>) =>
              Effect.map(
                Effect.flip(generate(loaded, [requests[0]!, { prompt, rng }], options)),
                ({ message }) => message
              )
            assert.include(yield* refused([]), "row 1 has an empty prompt")
            assert.include(yield* refused([1, 13]), "row 1 has token 13")
            assert.deepStrictEqual(yield* generate(loaded, [], options), [])
          })
        )
      )
    )

    it.effect("a model whose logits overflow fails by name, in decoding and in scoring", () =>
      withoutLeak(
        Effect.scoped(
          Effect.gen(function* () {
            const head = weights.get("lm_head.weight")!
            const overflowing = new Map(weights).set("lm_head.weight", {
              ...head,
              data: head.data.map((x) => x * 3e38)
            })
            const loaded = yield* Llama.fromWeights(config, overflowing)
            const decoding = yield* Effect.flip(generate(loaded, requests, options))
            assert.instanceOf(decoding, Llama.ModelDiverged)
            const rows = [{ prompt: [1, 2], completion: [3] }]
            const scoring = yield* Effect.flip(scoreCompletions(loaded, rows))
            assert.include(scoring.message, "no finite log-probability for token 0 of the completion of row 0")
          })
        )
      )
    )

    it.effect("interruption between tokens works and leaves no tensor", () =>
      withoutLeak(
        Effect.scoped(
          Effect.gen(function* () {
            const loaded = yield* model
            const before = tf.memory().numTensors
            let drawn = 0
            const counting = requests.map((request) => ({
              ...request,
              rng: {
                ...request.rng,
                uniform: (index: number) => {
                  drawn++
                  return request.rng.uniform(index)
                }
              }
            }))
            const fiber = yield* Effect.forkChild(
              generate(loaded, counting, { ...options, batchSize: 1, stopTokens: [] })
            )
            while (drawn < 5) yield* Effect.yieldNow
            assert.isAbove(tf.memory().numTensors, before)
            yield* Fiber.interrupt(fiber)
            assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
            assert.isBelow(drawn, 40)
            assert.strictEqual(tf.memory().numTensors, before)
          })
        )
      )
    )
  })
