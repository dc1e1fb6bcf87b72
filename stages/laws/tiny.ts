/** A policy small enough for exact arithmetic and fast enough for laws, with fresh (so nearly uniform) weights; records for it. */
import { Effect } from "effect"
import type { Completion, Pair, Prompt } from "../../dsl/artifacts.ts"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import * as Rng from "../../dsl/Rng.ts"
import { train } from "../../runtime/models/bpe.ts"
import { initialize, type Weights } from "../../runtime/models/Llama.ts"

export const TEXTS = ["the food was good", "the food was bad", "a very good film", "not good at all", "bad", "so so"]

export const tokenizerOf = (texts: ReadonlyArray<string>) =>
  Effect.runSync(train(texts, { vocabSize: 270, specialTokens: ["<|bos|>", "<|eos|>"], minFrequency: 2 }))

const tokenizer = tokenizerOf(TEXTS)

const config = {
  vocab_size: 270,
  hidden_size: 8,
  intermediate_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 32,
  tie_word_embeddings: false,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  hidden_act: "silu",
  model_type: "llama"
}

/** `scale` multiplies all matrices: with 20 the distributions are far from uniform. */
export const tinyPolicy = (seed: number, scale = 1): Checkpoint => ({
  config,
  tokenizer,
  weights: scaled(initialize(config as never, Rng.make(seed, "tiny")), scale)
})

const scaled = (weights: Weights, scale: number): Weights =>
  new Map(
    [...weights].map(([name, { data, shape }]) => [
      name,
      { shape, data: shape.length === 1 ? data : data.map((x) => scale * x) }
    ])
  )

export const prompts: ReadonlyArray<Prompt> = ["the food", "a very", "", "not"].map((text, i) => ({
  id: `p${i}`,
  text
}))

const completion = (text: string, finish: Completion["finish"] = "stop"): Completion => ({ text, finish })

export const pairs: ReadonlyArray<Pair> = [
  ["the food", " was good", " was bad"],
  ["a very", " good film", " bad"],
  ["not", " bad at all", " good"],
  ["the", " so so film was good", " a"],
  ["", "good", "bad bad"]
].map(([prompt, chosen, rejected], i) => ({
  id: `pair${i}`,
  prompt: { id: `p${i}`, text: prompt! },
  chosen: completion(chosen!),
  rejected: completion(rejected!, i === 3 ? "length" : "stop"),
  margin: 1
}))

export const texts = TEXTS.map((text, i) => ({ id: `t${i}`, text }))
