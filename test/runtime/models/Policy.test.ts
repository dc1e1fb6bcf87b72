/** How prompts and answers become tokens and come back, for tokenizers that put a space before every text too. */
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { Checkpoint } from "../../../dsl/Checkpoint.ts"
import * as Rng from "../../../dsl/Rng.ts"
import { Device } from "../../../runtime/device/Device.ts"
import { initialize, LlamaConfig } from "../../../runtime/models/Llama.ts"
import * as Policy from "../../../runtime/models/Policy.ts"
import { tinyPolicy } from "../../stages/tinyPolicy.ts"

const PIECES = ["▁", "g", "o", "d", "f", "▁g", "oo", "▁goo", "▁good", "▁f", "▁foo", "▁food"]
const byteToken = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`
const vocabulary = ["<unk>", "<s>", "</s>", ...Array.from({ length: 256 }, (_, byte) => byteToken(byte)), ...PIECES]

/** As Llama 2 has it: `▁` before the text and for every space, single bytes to fall back on, one leading space dropped. */
const sentencePiece: Schema.JsonObject = {
  added_tokens: ["<unk>", "<s>", "</s>"].map((content, id) => ({ id, content, special: true })),
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "▁" },
      { type: "Replace", pattern: { String: " " }, content: "▁" }
    ]
  },
  pre_tokenizer: null,
  decoder: {
    type: "Sequence",
    decoders: [
      { type: "Replace", pattern: { String: "▁" }, content: " " },
      { type: "ByteFallback" },
      { type: "Fuse" },
      { type: "Strip", content: " ", start: 1, stop: 0 }
    ]
  },
  model: {
    type: "BPE",
    unk_token: "<unk>",
    fuse_unk: true,
    byte_fallback: true,
    vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
    merges: ["▁ g", "o o", "▁g oo", "▁goo d", "▁ f", "▁f oo", "▁foo d"]
  }
}

const config = LlamaConfig.make({
  vocab_size: vocabulary.length,
  hidden_size: 4,
  intermediate_size: 4,
  num_hidden_layers: 1,
  num_attention_heads: 1,
  num_key_value_heads: 1,
  max_position_embeddings: 32
})
const llama2: Checkpoint = {
  config: Schema.encodeSync(LlamaConfig)(config) as Schema.JsonObject,
  weights: initialize(config, Rng.make(0, "policy")),
  tokenizer: sentencePiece,
  tokenizerConfig: { bos_token: "<s>", eos_token: "</s>" }
}

layer(Device.layer("wasm"))("Policy", (it) => {
  it.effect("an answer keeps the space that it begins with, where the tokenizer strips one from a text", () =>
    Effect.gen(function* () {
      const { decodeCompletion, encodeCompletion, tokenizer } = yield* Policy.load(llama2)
      const sampled = [tokenizer.idOf("▁good")!, tokenizer.idOf("▁food")!]
      assert.strictEqual(decodeCompletion(sampled), " good food")
      const text = decodeCompletion(sampled)
      assert.deepStrictEqual(encodeCompletion({ text, tokens: sampled, finish: "length" }), sampled)
    }).pipe(Effect.scoped)
  )

  it.effect("a written answer is encoded as the prompt's continuation, without a space of its own", () =>
    Effect.gen(function* () {
      const { decodeCompletion, encodeCompletion, encodePrompt, eos, tokenizer } = yield* Policy.load(llama2)
      const spelt = (text: string) => encodeCompletion({ text, finish: "length" }).map(tokenizer.tokenOf)
      assert.deepStrictEqual(spelt(" good"), ["▁good"])
      assert.deepStrictEqual(spelt("good"), ["g", "oo", "d"])
      assert.deepStrictEqual(spelt("é"), ["<0xC3>", "<0xA9>"])
      for (const text of ["", " ", "good", " good", "  good food", "é", "\nfood"]) {
        const tokens = encodeCompletion({ text, finish: "length" })
        assert.strictEqual(decodeCompletion(tokens), text)
        const prompt = encodePrompt({ id: "p", text: "food" })
        assert.strictEqual(tokenizer.decode([...prompt, ...tokens]), `food${text}`)
      }
      assert.strictEqual(encodeCompletion({ text: " good", finish: "stop" }).at(-1), eos)
    }).pipe(Effect.scoped)
  )

  it.effect("a prompt begins with one begin-of-sequence token", () =>
    Effect.gen(function* () {
      for (const checkpoint of [llama2, tinyPolicy(1)]) {
        const { bos, encodePrompt, tokenizer } = yield* Policy.load(checkpoint)
        for (const text of ["", "food", "<s>", "<|bos|>"])
          assert.deepStrictEqual(encodePrompt({ id: "p", text }), [bos, ...tokenizer.encode(text)])
        assert.deepStrictEqual(encodePrompt({ id: "p", text: "" }), [bos])
        assert.notInclude(encodePrompt({ id: "p", text: "<s><|bos|>" }).slice(1), bos)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("with bytes as the alphabet, answers are read and written as any other text", () =>
    Effect.gen(function* () {
      const { decodeCompletion, encodeCompletion, tokenizer } = yield* Policy.load(tinyPolicy(1))
      for (const text of ["", " ", " good", "good", "  so so", "é 🙂", "\n\n", "<|eos|>"]) {
        assert.deepStrictEqual(encodeCompletion({ text, finish: "length" }), tokenizer.encode(text))
        assert.strictEqual(decodeCompletion(tokenizer.encode(text)), text)
      }
      const half = tokenizer.encode("é").slice(0, 1)
      assert.strictEqual(decodeCompletion(half), "\uFFFD")
      assert.deepStrictEqual(encodeCompletion({ text: "\uFFFD", tokens: half, finish: "length" }), half)
    }).pipe(Effect.scoped)
  )
})
