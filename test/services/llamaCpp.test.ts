/** Our checkpoints, exported and served by llama.cpp, asked through the client: they say what they say here. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, it, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { Prompt } from "../../dsl/artifacts.ts"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import * as Rng from "../../dsl/Rng.ts"
import { Device } from "../../runtime/device/Device.ts"
import { generate } from "../../runtime/models/generate.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import * as Endpoint from "../../runtime/services/Endpoint.ts"
import { EndpointConfig } from "../../runtime/services/EndpointConfig.ts"
import { sampleRemote } from "../../stages/sample/remote.ts"
import { collect } from "../stages/support.ts"
import { byteLevel, hasStories, stories, writeGguf } from "./checkpoints.ts"
import { folder as llamaCpp } from "./llamaCpp.ts"
import { serve } from "./llamaServer.ts"

if (llamaCpp === undefined) {
  console.warn("SKIPPED: serving by llama.cpp. Set PREFLINE_LLAMA_CPP to what `npm run -s llama-cpp` prints.")
  it.skip("served by llama.cpp", () => {})
} else
  layer(Device.layer("wasm"))("served by llama.cpp", (it) => {
    const scratch = mkdtempSync(join(tmpdir(), "prefline-served-"))
    process.on("exit", () => rmSync(scratch, { recursive: true, force: true }))
    const served = Effect.fnUntraced(function* (checkpoint: Checkpoint) {
      const file = yield* writeGguf(checkpoint, join(scratch, "served.gguf"))
      const { url } = yield* Effect.acquireRelease(
        Effect.promise(() => serve(file)),
        ({ close }) => Effect.promise(close)
      )
      return { url, policy: yield* Policy.load(checkpoint) }
    })
    const config = (url: string, api: "completions" | "chat" = "completions") =>
      EndpointConfig.make({ url, model: "ours", api, retries: 0 })
    const promptsOf = (texts: ReadonlyArray<string>) => texts.map((text, i): Prompt => ({ id: `p${i}`, text }))

    const same = Effect.fnUntraced(function* (checkpoint: Checkpoint, texts: ReadonlyArray<string>, maxTokens: number) {
      const { policy, url } = yield* served(checkpoint)
      const prompts = promptsOf(texts)
      const params = { endpoint: config(url), maxTokens, temperature: 0, logProbs: true }
      const groups = yield* collect(sampleRemote, { params, input: prompts })
      const ours = yield* generate(
        policy.model,
        prompts.map((prompt) => ({ prompt: policy.encodePrompt(prompt), rng: Rng.make(0, "none") })),
        { maxTokens, temperature: 0, stopTokens: [policy.eos] }
      )
      for (const [p, { logProbs, tokens, finish }] of ours.entries()) {
        const [theirs] = groups[p]!.completions
        // behind nothing at all llama.cpp takes off the space that SentencePiece begins with
        const said = policy.decodeCompletion(tokens)
        assert.strictEqual(theirs.text, texts[p] === "" ? said.replace(/^ /, "") : said, texts[p])
        assert.strictEqual(theirs.finish, finish)
        assert.strictEqual(theirs.tokenLogProbs.length, tokens.length)
        for (const [t, { logProb }] of theirs.tokenLogProbs.entries()) assert.closeTo(logProb, logProbs[t]!, 1e-4)
      }
      return ours.flatMap(({ tokens }) => tokens).length
    }, Effect.scoped)

    it.effect("greedy text and log-probabilities are ours: a model made here", () =>
      Effect.map(same(byteLevel(), ["the food was", "a very", "", "not  🙂"], 24), (tokens) =>
        assert.isAbove(tokens, 20)
      )
    )
    if (hasStories)
      it.effect("greedy text and log-probabilities are ours: a real model", () =>
        Effect.gen(function* () {
          const tokens = yield* same(yield* stories(), ["", "Once upon a time", "Lily and Tom"], 48)
          assert.strictEqual(tokens, 3 * 48)
        })
      )

    it.effect("samples repeat with their seed, streams say the same, chats and several answers too", () =>
      Effect.gen(function* () {
        const { url } = yield* served(byteLevel())
        const input = promptsOf(["the food", "a very"])
        const params = { endpoint: config(url), maxTokens: 12, perPrompt: 3, temperature: 1 }
        const texts = (groups: ReadonlyArray<any>) =>
          groups.map(({ completions }) => completions.map((c: any) => c.text))
        const first = texts(yield* collect(sampleRemote, { params, input, seed: 1 }))
        assert.deepStrictEqual(texts(yield* collect(sampleRemote, { params, input, seed: 1 })), first)
        assert.notDeepEqual(texts(yield* collect(sampleRemote, { params, input, seed: 2 })), first)
        assert.strictEqual(new Set(first.flat()).size, 6)

        const asked = { prompt: "the food", maxTokens: 12, temperature: 1, seed: 5 }
        for (const api of ["completions", "chat"] as const) {
          const endpoint = yield* Endpoint.open(config(url, api))
          const whole = (yield* endpoint.ask({ ...asked, logProbs: true })).answers[0]!
          const deltas = yield* Stream.runCollect(endpoint.stream({ ...asked, logProbs: true }))
          assert.strictEqual(deltas.map(({ text }) => text).join(""), whole.text)
          assert.deepStrictEqual(
            deltas.flatMap(({ logProbs }) => logProbs ?? []),
            [...whole.logProbs!]
          )
          assert.isAbove(deltas.length, 3)
          const several = (yield* endpoint.ask({ ...asked, n: 3 })).answers
          assert.strictEqual(several[0]!.text, whole.text)
          assert.strictEqual(new Set(several.map(({ text }) => text)).size, 3)
        }
      }).pipe(Effect.scoped)
    )
  })
