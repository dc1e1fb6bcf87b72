/** The checkpoints that are compared with llama.cpp: one of each way of cutting text, small and far from uniform. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import * as Partial from "../../dsl/Partial.ts"
import * as Rng from "../../dsl/Rng.ts"
import { train } from "../../runtime/models/bpe.ts"
import { toGguf } from "../../runtime/models/gguf.ts"
import { initialize, type LlamaConfig } from "../../runtime/models/LlamaConfig.ts"
import { llama2c } from "../../stages/load/llama2c.ts"
import { TEXTS } from "../stages/tinyPolicy.ts"

/** Two layers, grouped heads, an own output head: whatever is stored in another order would show. */
export const byteLevel = (overrides: object = {}): Checkpoint => {
  const config = {
    vocab_size: 272,
    hidden_size: 32,
    intermediate_size: 48,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 64,
    tie_word_embeddings: false,
    rms_norm_eps: 1e-5,
    rope_theta: 5000,
    ...overrides
  }
  const tokenizer = Effect.runSync(
    train(TEXTS, { vocabSize: 270, specialTokens: ["<|bos|>", "<|eos|>"], minFrequency: 2 })
  )
  const weights = initialize(config as LlamaConfig, Rng.make(7, "llama.cpp"))
  for (const [name, { data, shape }] of weights)
    for (let i = 0; i < data.length; i++)
      data[i]! *= shape.length === 1 ? 1 + 0.01 * (i % 7) : name.includes("embed") ? 20 : 10
  return { config, tokenizer, weights }
}

const root = process.env["PREFLINE_DATA"] || undefined
export const hasStories = root !== undefined

/** A real model, with a tokenizer after SentencePiece. */
export const stories = (): Effect.Effect<Checkpoint, unknown> =>
  Effect.suspend(
    () =>
      llama2c.stage.run({
        params: {
          model: join(root!, "stories260k", "stories260K.bin"),
          tokenizer: join(root!, "stories260k", "tok512.bin")
        },
        input: undefined,
        inputs: {},
        rng: Rng.make(0, "none"),
        partial: Partial.none
      }) as Effect.Effect<Checkpoint, unknown>
  )

export const writeGguf = Effect.fnUntraced(function* (checkpoint: Checkpoint, file: string) {
  writeFileSync(file, Buffer.concat([...(yield* toGguf(checkpoint))]))
  return file
})
