/** A real trained Llama: the published greedy text, an independent float64 forward pass, and a tokenizer round trip. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Rng from "../../../dsl/Rng.ts"
import { Device, withoutLeak } from "../../../runtime/device/Device.ts"
import { generate } from "../../../runtime/models/generate.ts"
import * as Llama from "../../../runtime/models/Llama.ts"
import * as Llama2c from "../../../runtime/models/llama2c.ts"
import * as Llama2cTokenizer from "../../../runtime/models/llama2cTokenizer.ts"
import { scoreCompletions } from "../../../runtime/models/score.ts"
import * as Reference from "./reference.ts"

const root = process.env["PREFLINE_DATA"] || undefined
if (root === undefined) console.warn("SKIPPED: stories260k. Set PREFLINE_DATA to the folder that holds stories260k/.")

const file = (name: string) => new Uint8Array(readFileSync(join(root!, "stories260k", name)))
const text = () => new TextDecoder().decode(file("greedy.txt")).trimEnd()
const open = Effect.gen(function* () {
  const { config, weights } = yield* Llama2c.decode(file("stories260K.bin"))
  const tokenizer = yield* Llama2cTokenizer.read(file("tok512.bin"), config.vocab_size)
  return { config, weights, tokenizer }
})

if (root !== undefined)
  layer(Device.layer("wasm"))("stories260k", (it) => {
    it.effect("greedy decoding gives the published text", () =>
      withoutLeak(
        Effect.scoped(
          Effect.gen(function* () {
            const { config, tokenizer, weights } = yield* open
            const model = yield* Llama.fromWeights(config, weights)
            const [story] = yield* generate(model, [{ prompt: [tokenizer.bos], rng: Rng.make(0, "greedy") }], {
              maxTokens: 256,
              temperature: 0,
              stopTokens: [tokenizer.bos, tokenizer.eos]
            })
            assert.strictEqual(tokenizer.decode([tokenizer.bos, ...story!.tokens]), text())
            assert.deepStrictEqual(tokenizer.encode(text()), story!.tokens)
          })
        )
      )
    )

    it.effect("log-probabilities over that text equal the float64 reference at every position", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const { config, tokenizer, weights } = yield* open
          const completion = tokenizer.encode(text())
          const model = yield* Llama.fromWeights(config, weights)
          const [scores] = yield* scoreCompletions(model, [{ prompt: [tokenizer.bos], completion }])
          const expected = Reference.tokenLogProbs(config, Reference.widened(weights), [tokenizer.bos, ...completion])
          assert.strictEqual(expected.length, 256)
          for (const [t, value] of expected.entries()) assert.closeTo(scores![t]!, value, 1e-4, `position ${t}`)
          const mean = (values: Iterable<number>) => [...values].reduce((sum, value) => sum + value, 0) / 256
          assert.closeTo(mean(scores!), mean(expected), 2e-6)
        })
      )
    )

    it.effect("the tokenizer adds its space and its begin only where they belong, and falls back on bytes", () =>
      Effect.gen(function* () {
        const { tokenizer } = yield* open
        for (const line of ["Once upon a time", "Zoë saw 12 «things»!\n", "日本", " two  spaces "]) {
          const ids = tokenizer.encode(line, { bos: true })
          assert.strictEqual(ids[0], tokenizer.bos)
          assert.strictEqual(tokenizer.decode(ids), line)
          assert.strictEqual(tokenizer.decode(ids.slice(1)), ` ${line}`)
        }
        assert.deepStrictEqual(tokenizer.encode(""), [])
        assert.deepStrictEqual(tokenizer.encode("日").slice(-3), [0xe6 + 3, 0x97 + 3, 0xa5 + 3])
      })
    )

    it.effect("cut, longer and foreign files are refused with the reason", () =>
      Effect.gen(function* () {
        const bytes = file("stories260K.bin")
        const reason = (changed: Uint8Array) =>
          Effect.map(Effect.flip(Llama2c.decode(changed)), ({ message }) => message)
        assert.include(yield* reason(bytes.subarray(0, 20)), "20 bytes hold no header")
        assert.include(yield* reason(bytes.subarray(0, -4)), "asks for 1056540 bytes, but there are 1056536")
        assert.include(yield* reason(new Uint8Array(64)), "its header is not one")
        const tokens = file("tok512.bin")
        const refused = (changed: Uint8Array, size: number) =>
          Effect.map(Effect.flip(Llama2cTokenizer.read(changed, size)), ({ message }) => message)
        assert.include(yield* refused(tokens.subarray(0, 900), 512), "of 512")
        assert.include(yield* refused(tokens, 400), "are left after 400 tokens")
      })
    )
  })
else describe("stories260k", () => it.skipIf(true)("needs PREFLINE_DATA", () => assert.fail("skipped")))
