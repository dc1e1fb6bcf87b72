/** A checkpoint as one GGUF file, which llama.cpp and what is built on it load. */
import { Effect } from "effect"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import { encode, float32, type Precision, string, type Tensor, uint32, type Value } from "./gguf/format.ts"
import { GgufUnsupported, metadata as tokenizerMetadata } from "./gguf/tokenizer.ts"
import {
  type ConfigInvalid,
  decode,
  HEAD,
  headDim,
  type LlamaConfig,
  type ModelInvalid,
  ropeTheta,
  shapes,
  validate,
  type Weight
} from "./LlamaConfig.ts"
import type { TokenizerInvalid } from "./Tokenizer.ts"

export type { Precision } from "./gguf/format.ts"
export { GgufUnsupported } from "./gguf/tokenizer.ts"

export interface GgufOptions {
  /** How matrices are stored; vectors are always F32. `F32` unless told. */
  readonly precision?: Precision
  /** What programs show as the model's name. */
  readonly name?: string
}

/**
 * The bytes of the file, piece by piece, one tensor at a time. Equal checkpoints give equal bytes.
 * **Details** Architecture `llama`, version 3, alignment 32. llama.cpp turns neighbouring coordinates of a head where Hugging
 * Face turns its halves, so the rows of query and key projections are put in its order. A tied output head is left out.
 * For how the tokenizer is told, and which are refused, see `gguf/tokenizer.ts`. A head on hidden states (a reward model)
 * has no place in the format and is refused. With F16 a weight beyond 65504 is refused too.
 */
export const toGguf = Effect.fn("toGguf")(function* (
  checkpoint: Checkpoint,
  { name = "prefline", precision = "F32" }: GgufOptions = {}
): Effect.fn.Return<Iterable<Uint8Array>, GgufUnsupported | ConfigInvalid | ModelInvalid | TokenizerInvalid> {
  const config = yield* decode(checkpoint.config)
  yield* validate(config, checkpoint.weights)
  if (checkpoint.weights.has(HEAD)) {
    const problem = "the head of a reward model has no place in the format; save the policy that it was trained from"
    return yield* new GgufUnsupported({ where: HEAD, problem })
  }
  const tensors = [...shapes(config).keys()].map((tensor): Tensor => {
    const { data, shape } = permuted(config, tensor, checkpoint.weights.get(tensor)!)
    return { name: renamed(tensor), shape, data, precision: shape.length === 1 ? "F32" : precision }
  })
  const large = tensors.find((tensor) => tensor.precision === "F16" && tensor.data.some((x) => Math.abs(x) > HALF_MAX))
  if (large) return yield* new GgufUnsupported({ where: large.name, problem: `holds a number beyond ${HALF_MAX}` })
  const metadata = new Map<string, Value>([
    ...modelMetadata(config, name, precision),
    ...(yield* tokenizerMetadata(checkpoint, config.vocab_size))
  ])
  return { [Symbol.iterator]: () => encode(metadata, tensors)[Symbol.iterator]() }
})

const HALF_MAX = 65504

const modelMetadata = (
  config: LlamaConfig,
  name: string,
  precision: Precision
): ReadonlyArray<readonly [string, Value]> => [
  ["general.architecture", string("llama")],
  ["general.name", string(name)],
  ["general.alignment", uint32(32)],
  ["general.file_type", uint32(precision === "F32" ? 0 : 1)],
  ["llama.vocab_size", uint32(config.vocab_size)],
  ["llama.context_length", uint32(config.max_position_embeddings)],
  ["llama.embedding_length", uint32(config.hidden_size)],
  ["llama.block_count", uint32(config.num_hidden_layers)],
  ["llama.feed_forward_length", uint32(config.intermediate_size)],
  ["llama.attention.head_count", uint32(config.num_attention_heads)],
  ["llama.attention.head_count_kv", uint32(config.num_key_value_heads)],
  ["llama.attention.key_length", uint32(headDim(config))],
  ["llama.attention.value_length", uint32(headDim(config))],
  ["llama.attention.layer_norm_rms_epsilon", float32(config.rms_norm_eps)],
  ["llama.rope.dimension_count", uint32(headDim(config))],
  ["llama.rope.freq_base", float32(ropeTheta(config))]
]

const OUTSIDE: Readonly<Record<string, string>> = {
  "model.embed_tokens.weight": "token_embd.weight",
  "model.norm.weight": "output_norm.weight",
  "lm_head.weight": "output.weight"
}
const INSIDE: Readonly<Record<string, string>> = {
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  post_attention_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down"
}

const renamed = (tensor: string): string =>
  OUTSIDE[tensor] ??
  tensor.replace(/^model\.layers\.(\d+)\.(.+)\.weight$/, (_, layer, part) => `blk.${layer}.${INSIDE[part]}.weight`)

/** Row `2 j + half` of a head is row `half * headDim / 2 + j` of Hugging Face's. */
const permuted = (config: LlamaConfig, tensor: string, weight: Weight): Weight => {
  if (!/\.self_attn\.[qk]_proj\.weight$/.test(tensor)) return weight
  const width = headDim(config)
  const [rows, columns] = weight.shape as [number, number]
  const data = new Float32Array(weight.data.length)
  for (let row = 0; row < rows; row++) {
    const within = row % width
    const source = row - within + (within % 2) * (width / 2) + Math.floor(within / 2)
    data.set(weight.data.subarray(source * columns, (source + 1) * columns), row * columns)
  }
  return { shape: weight.shape, data }
}
