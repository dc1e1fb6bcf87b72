import * as tf from "@tensorflow/tfjs"
import { causalAttention } from "../tensor/causalAttention.ts"
import { gatherRows, scatterRows } from "../tensor/gatherRows.ts"
import { logProbs } from "../tensor/logProbs.ts"
import { rmsNorm } from "../tensor/rmsNorm.ts"
import { swiGlu } from "../tensor/swiGlu.ts"
import type { Batch } from "./Batch.ts"
import { type Llama, parameter } from "./Llama.ts"
import { HEAD } from "./LlamaConfig.ts"

/**
 * What differs between training, scoring and decoding: how a row is multiplied by a named projection, and what its
 * attention sees. `q` `[N, heads * headDim]`, `k` and `v` `[N, keyValueHeads * headDim]`, before rotation.
 */
export interface Pass {
  readonly project: (x: tf.Tensor2D, name: string) => tf.Tensor2D
  readonly attend: (layer: number, q: tf.Tensor2D, k: tf.Tensor2D, v: tf.Tensor2D) => tf.Tensor2D
}

/** Final normalized hidden states `[N, hidden]` of N tokens, whatever sequences they belong to. */
export const hidden = (model: Llama, tokens: Int32Array, pass: Pass): tf.Tensor2D =>
  tf.tidy(() => {
    const norm = (x: tf.Tensor2D, name: string) =>
      rmsNorm(x, parameter<tf.Rank.R1>(model, name), model.config.rms_norm_eps)
    let x = gatherRows(parameter<tf.Rank.R2>(model, "model.embed_tokens.weight"), tokens)
    for (let layer = 0; layer < model.config.num_hidden_layers; layer++) {
      const at = `model.layers.${layer}.`
      const project = (x: tf.Tensor2D, name: string) => pass.project(x, `${at}${name}.weight`)
      const a = norm(x, `${at}input_layernorm.weight`)
      const [q, k, v] = [project(a, "self_attn.q_proj"), project(a, "self_attn.k_proj"), project(a, "self_attn.v_proj")]
      x = tf.add(x, project(pass.attend(layer, q, k, v), "self_attn.o_proj"))
      const m = norm(x, `${at}post_attention_layernorm.weight`)
      x = tf.add(x, project(swiGlu(project(m, "mlp.gate_proj"), project(m, "mlp.up_proj")), "mlp.down_proj"))
    }
    return norm(x, "model.norm.weight")
  })

/** Multiplies by a parameter, which is laid out `[out, in]`. */
export const projection =
  (model: Llama): Pass["project"] =>
  (x, name) =>
    tf.matMul(x, parameter<tf.Rank.R2>(model, name), false, true)

/** Name of the matrix that turns hidden states into logits: the embedding itself when tied. */
export const headName = ({ config }: Llama): string =>
  config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight"

/** Next-token logits `[rows, columns, vocabulary]` at every token of a batch; zero at padding. */
export const logits = (model: Llama, batch: Batch): tf.Tensor3D =>
  tf.tidy(() => {
    const { columns, lengths, rows } = batch
    const { at, tokens } = pack(batch, lengths)
    const states = hidden(model, tokens, sequences(model, lengths))
    const packed = projection(model)(states, headName(model))
    return tf.reshape(scatterRows(packed, at, rows * columns), [rows, columns, model.config.vocab_size])
  })

/**
 * Teacher-forced log-probabilities `[rows, columns - 1]`, nats: entry `(b, t - 1)` is that of token `t` given the tokens
 * before it, where the mask is 1, and 0 elsewhere.
 * **Details** Padding is never computed, and logits only where the mask asks for them, so a row's values do not depend on
 * the padding. Differentiable in the model's parameters. Throws a `RangeError` for a token outside the vocabulary.
 * **Gotchas** A mask on a row's first token counts for nothing: nothing precedes it.
 */
export const tokenLogProbs = (model: Llama, batch: Batch): tf.Tensor2D =>
  answers(model, batch, { heads: false }).logProbs

/**
 * `logProbs` as `tokenLogProbs` has them and, if asked for, `heads` `[rows, outputs]`: the head's outputs at the last token of
 * each row. One pass gives both. Throws if the model has no head.
 */
export const answers = (
  model: Llama,
  batch: Batch,
  options: { readonly heads: boolean }
): { readonly logProbs: tf.Tensor2D; readonly heads?: tf.Tensor2D } =>
  tf.tidy(() => {
    const { lengths } = batch
    // The last token of a row predicts nothing here; only a head looks at it.
    const contexts = options.heads ? lengths : lengths.map((length) => Math.max(0, length - 1))
    const packed = pack(batch, contexts)
    const states = hidden(model, packed.tokens, sequences(model, contexts))
    const logProbs = logProbsOf(model, batch, packed, states)
    if (!options.heads) return { logProbs }
    let total = 0
    const last = contexts.map((length) => {
      total += length
      return total - 1
    })
    return { logProbs, heads: projection(model)(gatherRows(states, last), HEAD) }
  })

const logProbsOf = (model: Llama, batch: Batch, packed: ReturnType<typeof pack>, states: tf.Tensor2D): tf.Tensor2D => {
  const { columns, mask, rows, tokens } = batch
  const wanted: Array<number> = []
  packed.at.forEach((at, i) => {
    if ((at + 1) % columns !== 0 && mask[at + 1] === 1) wanted.push(i)
  })
  if (wanted.length === 0) return tf.zeros([rows, columns - 1])
  const from = Int32Array.from(wanted)
  const scores = projection(model)(gatherRows(states, from), headName(model))
  const values = logProbs(
    scores,
    from.map((i) => tokens[packed.at[i]! + 1]!)
  )
  const to = from.map((i) => packed.at[i]! - Math.floor(packed.at[i]! / columns))
  return tf.reshape(scatterRows(tf.reshape(values, [from.length, 1]), to, rows * (columns - 1)), [rows, columns - 1])
}

/** A differentiable pass over whole sequences that lie behind one another. */
const sequences = (model: Llama, lengths: Int32Array): Pass => ({
  project: projection(model),
  attend: (_, q, k, v) => causalAttention(q, k, v, lengths, model.heads)
})

/** The first `lengths[b]` tokens of each row behind one another, and where in the grid each stood. */
const pack = ({ columns, rows, tokens }: Batch, lengths: Int32Array) => {
  const total = lengths.reduce((sum, length) => sum + length, 0)
  const at = new Int32Array(total)
  let next = 0
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < lengths[row]!; column++) at[next++] = row * columns + column
  return { at, tokens: at.map((i) => tokens[i]!) }
}
