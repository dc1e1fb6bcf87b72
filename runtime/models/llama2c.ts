/** Reads checkpoints of llama2.c: seven int32 of sizes, then float32 tensors in a fixed order, little-endian. */
import { Effect, Schema } from "effect"
import { headDim, LlamaConfig, type Weight, type Weights } from "./Llama.ts"

/** The bytes are not what llama2.c writes. */
export class Llama2cInvalid extends Schema.TaggedError<Llama2cInvalid>()("Llama2cInvalid", { reason: Schema.String }) {
  override get message() {
    return `not a llama2.c file: ${this.reason}`
  }
}

/**
 * Decodes a version 0 checkpoint (no magic number, as the tinyllamas are published) into Hugging Face's names and layout.
 * **Details** Its rotary positions turn neighbouring coordinates, ours the two halves of a head, so the rows of the query
 * and key projections are put in that order. A negative vocabulary size in the header means an untied head. The format
 * fixes epsilon at 1e-5, the rotary base at 10000, begin-of-sequence at 1 and end-of-sequence at 2.
 * **Source** karpathy/llama2.c, run.c `memory_map_weights` and export.py `legacy_export`.
 */
export const decode = Effect.fn("llama2c.decode")(function* (
  bytes: Uint8Array
): Effect.fn.Return<{ readonly config: LlamaConfig; readonly weights: Weights }, Llama2cInvalid> {
  if (bytes.byteLength < HEADER)
    return yield* new Llama2cInvalid({ reason: `${bytes.byteLength} bytes hold no header` })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [dim, inner, layers, heads, keyValueHeads, vocabulary, positions] = Array.from({ length: 7 }, (_, i) =>
    view.getInt32(4 * i, true)
  ) as [number, number, number, number, number, number, number]
  const config = yield* Schema.decodeUnknownEffect(LlamaConfig)({
    vocab_size: Math.abs(vocabulary),
    hidden_size: dim,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    max_position_embeddings: positions,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: vocabulary > 0,
    bos_token_id: 1,
    eos_token_id: 2
  }).pipe(Effect.mapError((error) => new Llama2cInvalid({ reason: `its header is not one: ${error.message}` })))
  const expected = fileSize(config)
  if (bytes.byteLength !== expected)
    return yield* new Llama2cInvalid({
      reason: `its header asks for ${expected} bytes, but there are ${bytes.byteLength}`
    })
  return { config, weights: readWeights(config, view) }
})

const HEADER = 28

/** Two unused tables of rotary positions stand behind the final norm. */
const rotaryTables = (config: LlamaConfig) => config.max_position_embeddings * headDim(config)

const fileSize = (config: LlamaConfig): number => {
  const { hidden_size: dim, intermediate_size: inner, num_hidden_layers: layers, vocab_size: vocabulary } = config
  const keys = config.num_key_value_heads * headDim(config)
  const layer = 2 * dim + 2 * dim * dim + 2 * dim * keys + 3 * dim * inner
  const heads = config.tie_word_embeddings ? 1 : 2
  return HEADER + 4 * (heads * vocabulary * dim + layers * layer + dim + rotaryTables(config))
}

const readWeights = (config: LlamaConfig, view: DataView): Weights => {
  const { hidden_size: dim, intermediate_size: inner, num_hidden_layers: layers, vocab_size: vocabulary } = config
  const keys = config.num_key_value_heads * headDim(config)
  let at = HEADER
  const read = (...shape: ReadonlyArray<number>): Weight => {
    const data = new Float32Array(shape.reduce((product, length) => product * length, 1))
    for (let i = 0; i < data.length; i++, at += 4) data[i] = view.getFloat32(at, true)
    return { shape, data }
  }
  const perLayer = (...shape: ReadonlyArray<number>) => Array.from({ length: layers }, () => read(...shape))
  const embedding = read(vocabulary, dim)
  const attentionNorms = perLayer(dim)
  const queries = perLayer(dim, dim)
  const keyRows = perLayer(keys, dim)
  const values = perLayer(keys, dim)
  const outputs = perLayer(dim, dim)
  const innerNorms = perLayer(dim)
  const gates = perLayer(inner, dim)
  const downs = perLayer(dim, inner)
  const ups = perLayer(inner, dim)
  const norm = read(dim)
  at += 4 * rotaryTables(config)
  const weights = new Map<string, Weight>([["model.embed_tokens.weight", embedding]])
  for (let layer = 0; layer < layers; layer++) {
    const name = `model.layers.${layer}.`
    weights
      .set(`${name}input_layernorm.weight`, attentionNorms[layer]!)
      .set(`${name}self_attn.q_proj.weight`, pairsToHalves(queries[layer]!, headDim(config)))
      .set(`${name}self_attn.k_proj.weight`, pairsToHalves(keyRows[layer]!, headDim(config)))
      .set(`${name}self_attn.v_proj.weight`, values[layer]!)
      .set(`${name}self_attn.o_proj.weight`, outputs[layer]!)
      .set(`${name}post_attention_layernorm.weight`, innerNorms[layer]!)
      .set(`${name}mlp.gate_proj.weight`, gates[layer]!)
      .set(`${name}mlp.up_proj.weight`, ups[layer]!)
      .set(`${name}mlp.down_proj.weight`, downs[layer]!)
  }
  weights.set("model.norm.weight", norm)
  return config.tie_word_embeddings ? weights : weights.set("lm_head.weight", read(vocabulary, dim))
}

/** Within each head, row `2i` goes to `i` and row `2i + 1` to `i + headDim / 2`. */
const pairsToHalves = ({ data, shape }: Weight, width: number): Weight => {
  const [rows, columns] = shape as [number, number]
  const moved = new Float32Array(data.length)
  for (let row = 0; row < rows; row++) {
    const within = row % width
    const to = row - within + Math.floor(within / 2) + (within % 2) * (width / 2)
    moved.set(data.subarray(row * columns, (row + 1) * columns), to * columns)
  }
  return { shape, data: moved }
}
