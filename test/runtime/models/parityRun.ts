/** The cross-engine parity workload: weights and tokens from formulas, DPO against the initial weights. */
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import type { Batch } from "../../../runtime/models/Batch.ts"
import { tokenLogProbs } from "../../../runtime/models/forward.ts"
import * as Llama from "../../../runtime/models/Llama.ts"
import * as AdamW from "../../../runtime/tensor/AdamW.ts"
import { constant } from "../../../runtime/tensor/schedule.ts"
import * as Train from "../../../runtime/tensor/train.ts"

export interface Sizes {
  readonly vocabulary: number
  readonly hidden: number
  readonly layers: number
  readonly heads: number
  readonly inner: number
  readonly length: number
  readonly pairs: number
}

export const X: Sizes = { vocabulary: 64, hidden: 16, layers: 1, heads: 2, inner: 32, length: 16, pairs: 2 }
export const S: Sizes = { vocabulary: 512, hidden: 64, layers: 2, heads: 4, inner: 256, length: 64, pairs: 8 }

export const config = (sizes: Sizes): Llama.LlamaConfig =>
  Llama.LlamaConfig.make({
    vocab_size: sizes.vocabulary,
    hidden_size: sizes.hidden,
    intermediate_size: sizes.inner,
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    num_key_value_heads: sizes.heads,
    max_position_embeddings: sizes.length,
    tie_word_embeddings: true
  })

const frac = (x: number) => x - Math.floor(x)

/** The formula's matrices multiply from the right and pack q|k|v and gate|up; the model's are `[out, in]` and separate. */
export const weights = (sizes: Sizes): Llama.Weights => {
  let k = 0
  const matrix = (rows: number, columns: number) =>
    Float32Array.from({ length: rows * columns }, () => {
      k++
      return 0.02 * Math.sqrt(3) * (2 * frac(Math.sin(12.9898 * k) * 43758.5453) - 1)
    })
  const columnsOf = (data: Float32Array, rows: number, columns: number, from: number, to: number): Llama.Weight => ({
    shape: [to - from, rows],
    data: Float32Array.from(
      { length: (to - from) * rows },
      (_, i) => data[(i % rows) * columns + from + Math.floor(i / rows)]!
    )
  })
  const ones = (length: number): Llama.Weight => ({ shape: [length], data: new Float32Array(length).fill(1) })
  const { hidden: h, inner, layers, vocabulary } = sizes
  const made = new Map<string, Llama.Weight>([
    ["model.embed_tokens.weight", { shape: [vocabulary, h], data: matrix(vocabulary, h) }]
  ])
  for (let layer = 0; layer < layers; layer++) {
    const at = `model.layers.${layer}.`
    const qkv = matrix(h, 3 * h)
    const o = matrix(h, h)
    const gateUp = matrix(h, 2 * inner)
    const down = matrix(inner, h)
    made
      .set(`${at}input_layernorm.weight`, ones(h))
      .set(`${at}self_attn.q_proj.weight`, columnsOf(qkv, h, 3 * h, 0, h))
      .set(`${at}self_attn.k_proj.weight`, columnsOf(qkv, h, 3 * h, h, 2 * h))
      .set(`${at}self_attn.v_proj.weight`, columnsOf(qkv, h, 3 * h, 2 * h, 3 * h))
      .set(`${at}self_attn.o_proj.weight`, columnsOf(o, h, h, 0, h))
      .set(`${at}post_attention_layernorm.weight`, ones(h))
      .set(`${at}mlp.gate_proj.weight`, columnsOf(gateUp, h, 2 * inner, 0, inner))
      .set(`${at}mlp.up_proj.weight`, columnsOf(gateUp, h, 2 * inner, inner, 2 * inner))
      .set(`${at}mlp.down_proj.weight`, columnsOf(down, inner, h, 0, h))
  }
  return made.set("model.norm.weight", ones(h))
}

/** Rows 0..pairs-1 are chosen, row `i` pairs with row `pairs + i`. */
export const batch = ({ length, pairs, vocabulary }: Sizes, step: number): Batch => {
  const count = 2 * pairs * length
  const token = (j: number) => {
    const k = BigInt(j + step * count)
    return Number(((k * 1103515245n + 12345n) % 2147483648n) >> 16n) % vocabulary
  }
  return {
    rows: 2 * pairs,
    columns: length,
    tokens: Int32Array.from({ length: count }, (_, j) => token(j)),
    mask: Uint8Array.from({ length: count }, (_, j) => (j % length >= length / 4 ? 1 : 0)),
    lengths: new Int32Array(2 * pairs).fill(length)
  }
}

/** Losses before each of the first `steps` updates. */
export const losses = (sizes: Sizes, steps: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const model = yield* Llama.fromWeights(config(sizes), weights(sizes))
      const reference = yield* Llama.fromWeights(config(sizes), weights(sizes))
      const optimizer = yield* AdamW.make(model.parameters, { learningRate: constant(1e-3) })
      const { pairs } = sizes
      const summed = (of: Llama.Llama, tokens: Batch) => tf.sum(tokenLogProbs(of, tokens), 1)
      const dpo = (tokens: Batch): Train.Contribution => {
        const gain = tf.sub(summed(model, tokens), referenceSums(tokens))
        const margin = tf.sub(tf.slice(gain, 0, pairs), tf.slice(gain, pairs, pairs))
        return { loss: tf.sum(tf.softplus(tf.mul(margin, -0.1))), weight: pairs }
      }
      const referenceSums = (tokens: Batch) => tf.tensor1d(summed(reference, tokens).dataSync())
      const seen: Array<number> = []
      for (let step = 0; step < steps; step++) seen.push((yield* Train.step(optimizer, [batch(sizes, step)], dpo)).loss)
      return seen
    })
  )
