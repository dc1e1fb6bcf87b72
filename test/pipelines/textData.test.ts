import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { afterEach } from "vitest"
import type { Pair } from "../../dsl/artifacts.ts"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import type * as Node from "../../dsl/Node.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import * as Rng from "../../dsl/Rng.ts"
import { StageMisused } from "../../dsl/Stage.ts"
import { type HumanSource, humanPreferences, realPolicy } from "../../pipelines/testbeds/textData.ts"
import { Device } from "../../runtime/device/Device.ts"
import { generate } from "../../runtime/models/generate.ts"
import * as Llama2cTokenizer from "../../runtime/models/llama2cTokenizer.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import * as Tokenizer from "../../runtime/models/Tokenizer.ts"
import { collect } from "../stages/support.ts"
import { call } from "../stages/tinyPolicy.ts"

const root = process.env["PREFLINE_DATA"] || undefined
if (root === undefined)
  console.warn("SKIPPED: human preferences and the real Llama. Set PREFLINE_DATA to their folder.")

/** The records of a node, its inputs made first. */
const made = <A>(node: Node.Any): Effect.Effect<ReadonlyArray<A>> =>
  Effect.gen(function* () {
    const input = node.inputs["input"]
    const records = input === undefined ? {} : { input: yield* made(input) }
    return yield* collect<A, never>({ stage: node.stage }, { params: node.encodedParams, ...records })
  })

describe("without the data", () => {
  afterEach(() => {
    if (root === undefined) delete process.env["PREFLINE_DATA"]
    else process.env["PREFLINE_DATA"] = root
  })
  const pipeline = Pipeline.make(
    "people",
    { description: "", params: { words: Schema.optionalKey(Schema.Int) } },
    () => ({
      pairs: humanPreferences({ source: "helpful-base" })
    })
  )

  it.effect("pipelines fail to build with a message that says what is missing", () =>
    Effect.gen(function* () {
      delete process.env["PREFLINE_DATA"]
      const unset = yield* Effect.flip(Pipeline.build(pipeline))
      assert.strictEqual(unset._tag, "PipelineInvalid")
      assert.include(unset.message, "PREFLINE_DATA is not set")
      process.env["PREFLINE_DATA"] = "/nowhere"
      const empty = yield* Effect.flip(Pipeline.build(pipeline))
      assert.include(
        empty.message,
        "PREFLINE_DATA is /nowhere, where there is no file hh-rlhf/helpful-base.test.jsonl.gz"
      )
      assert.throws(() => realPolicy(), StageMisused, /stories260K.bin/)
      assert.throws(() => humanPreferences({ source: "yelp" }), StageMisused, /yelp.jsonl/)
    })
  )
})

if (root !== undefined) {
  const prefers = (source: HumanSource, margin?: number) =>
    made<Pair>(humanPreferences({ source, ...(margin === undefined ? {} : { margin }) }))

  describe("human preferences", () => {
    for (const [source, dropped] of [
      ["harmless-base", 2312 - 5],
      ["helpful-base", 2354 - 11],
      ["helpful-online", 1137 - 2],
      ["helpful-rejection-sampled", 2749 - 35]
    ] as const)
      it.effect(`${source} are comparisons of two answers to one dialogue`, () =>
        Effect.gen(function* () {
          const pairs = yield* prefers(source)
          assert.lengthOf(pairs, dropped)
          assert.strictEqual(new Set(pairs.map(({ id }) => id)).size, pairs.length)
          for (const { chosen, prompt, rejected } of pairs) {
            assert.isTrue(prompt.text.startsWith("\n\nHuman:") && prompt.text.endsWith("\n\nAssistant:"))
            assert.notStrictEqual(chosen.text, rejected.text)
          }
        })
      )

    it.effect("ratings give pairs of different rewrites, the higher sum chosen", () =>
      Effect.gen(function* () {
        const counts: Record<string, number> = {}
        for (const source of ["yelp", "amazon", "captions"] as const) {
          const pairs = yield* prefers(source)
          counts[source] = pairs.length
          assert.isTrue(
            pairs.every(({ chosen, margin, rejected }) => margin >= 1 && margin <= 12 && chosen.text !== rejected.text)
          )
        }
        console.info(`pairs from ratings: ${JSON.stringify(counts)}`)
        const wide = yield* prefers("yelp", 3)
        assert.isTrue(wide.length > 0 && wide.length < counts["yelp"]! && wide.every(({ margin }) => margin > 3))
      })
    )
  })

  layer(Device.layer("wasm"))("the real policy", (it) => {
    it.effect("has a tokenizer that encodes stories and reviews as llama2.c does", () =>
      Effect.gen(function* () {
        const { params, stage } = realPolicy()
        const { tokenizer, tokenizerConfig } = yield* call<Checkpoint>({ stage }, { params: params as object })
        const own = yield* Tokenizer.fromJson(tokenizer, tokenizerConfig)
        const bytes = (name: string) => new Uint8Array(readFileSync(join(root, "stories260k", name)))
        const peer = yield* Llama2cTokenizer.read(bytes("tok512.bin"), own.vocabSize)
        const story = new TextDecoder().decode(bytes("greedy.txt"))
        const reviews = (yield* prefers("yelp")).flatMap(({ chosen, rejected }) => [chosen.text, rejected.text])
        for (const text of new Set([story, ...reviews])) {
          assert.deepEqual(own.encode(text), [...peer.encode(text)], text)
          assert.strictEqual(own.decode(own.encode(text)), text)
        }
      })
    )
    it.effect("goes on as its author published, from a prompt of text, and ends at its boundary", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const { params, stage } = realPolicy()
          const policy = yield* Policy.load(yield* call<Checkpoint>({ stage }, { params: params as object }))
          const prompt = policy.encodePrompt({ id: "p", text: "Once upon a time" })
          const [story] = yield* generate(policy.model, [{ prompt, rng: Rng.make(0, "greedy") }], {
            maxTokens: 40,
            temperature: 0,
            stopTokens: [policy.eos]
          })
          assert.isTrue(
            policy
              .decodeCompletion(story!.tokens)
              .startsWith(", there was a little girl named Lily. She loved to play outside in the park."),
            policy.decodeCompletion(story!.tokens)
          )
          const requests = Array.from({ length: 8 }, (_, i) => ({ prompt, rng: Rng.make(1, "ends").fork(i) }))
          const stories = yield* generate(policy.model, requests, {
            maxTokens: 400,
            temperature: 1,
            stopTokens: [1, 2]
          })
          const ended = stories.filter(({ finish }) => finish === "stop").length
          const alone = yield* generate(policy.model, requests, {
            maxTokens: 400,
            temperature: 1,
            stopTokens: [policy.eos]
          })
          console.info(`stories260K: ${ended} of 8 stories end within 400 tokens`)
          assert.isAtLeast(ended, 1)
          assert.deepEqual(alone, stories)
        })
      )
    )
  })
}
