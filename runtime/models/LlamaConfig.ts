/** What a Llama is before it is on a device: its configuration, and its weights as plain data. */
import { Effect, Schema } from "effect"
import { brief } from "../../dsl/internal/brief.ts"
import type * as Rng from "../../dsl/Rng.ts"

const Size = Schema.Int.check(Schema.isGreaterThan(0))
const Positive = Schema.Finite.check(Schema.isGreaterThan(0))
/** Far more than any model has: the names of the tensors of a file's model are listed before they are looked for. */
const MAX_LAYERS = 10_000
const TokenId = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
/**
 * Hugging Face's `config.json` of a Llama: the sizes, and the switches that change what the model computes.
 * **Details** A switch that this implementation does not have (biases, scaled rotary positions, another activation) is
 * refused rather than ignored. Fields that say nothing about the computation are dropped.
 */
export const LlamaConfig = Schema.Struct({
  architectures: Schema.Array(Schema.Literal("LlamaForCausalLM")).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(["LlamaForCausalLM"] as const)),
    Schema.withConstructorDefault(Effect.succeed(["LlamaForCausalLM"] as const))
  ),
  model_type: Schema.Literal("llama").pipe(
    Schema.withDecodingDefaultKey(Effect.succeed("llama" as const)),
    Schema.withConstructorDefault(Effect.succeed("llama" as const))
  ),
  hidden_act: Schema.Literal("silu").pipe(
    Schema.withDecodingDefaultKey(Effect.succeed("silu" as const)),
    Schema.withConstructorDefault(Effect.succeed("silu" as const))
  ),
  vocab_size: Size,
  hidden_size: Size,
  intermediate_size: Size,
  num_hidden_layers: Size.check(Schema.isLessThanOrEqualTo(MAX_LAYERS)),
  num_attention_heads: Size,
  num_key_value_heads: Size,
  head_dim: Schema.optionalKey(Schema.NullOr(Size)),
  max_position_embeddings: Size,
  rms_norm_eps: Positive.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(1e-6)),
    Schema.withConstructorDefault(Effect.succeed(1e-6))
  ),
  rope_theta: Positive.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(10000)),
    Schema.withConstructorDefault(Effect.succeed(10000))
  ),
  rope_scaling: Schema.optionalKey(Schema.Null),
  /** Where `transformers` 5 writes what `rope_theta` and `rope_scaling` were; it counts before `rope_theta`. */
  rope_parameters: Schema.optionalKey(
    Schema.NullOr(Schema.Struct({ rope_type: Schema.optionalKey(Schema.Literal("default")), rope_theta: Positive }))
  ),
  attention_bias: Schema.optionalKey(Schema.Literal(false)),
  mlp_bias: Schema.optionalKey(Schema.Literal(false)),
  tie_word_embeddings: Schema.Boolean.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(false)),
    Schema.withConstructorDefault(Effect.succeed(false))
  ),
  bos_token_id: Schema.optionalKey(Schema.NullOr(TokenId)),
  eos_token_id: Schema.optionalKey(Schema.NullOr(Schema.Union([TokenId, Schema.Array(TokenId)])))
}).check(
  Schema.makeFilter((config) => {
    const { head_dim, hidden_size, num_attention_heads, num_key_value_heads } = config
    if (num_attention_heads % num_key_value_heads !== 0)
      return `num_attention_heads (${num_attention_heads}) must be a multiple of num_key_value_heads (${num_key_value_heads})`
    if (head_dim == null && hidden_size % num_attention_heads !== 0)
      return `hidden_size (${hidden_size}) must be a multiple of num_attention_heads (${num_attention_heads})`
    const width = head_dim ?? hidden_size / num_attention_heads
    return width % 2 === 0 || `the width of a head (${width}) must be even, for its rotary halves`
  })
)
export type LlamaConfig = typeof LlamaConfig.Type

/** Named arrays under Hugging Face's names; a projection is `[out, in]`. Plain data: what a checkpoint holds. */
export type Weights = ReadonlyMap<string, Weight>

export interface Weight {
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array
}

/** The weights do not fit the configuration, or hold a number that is not finite. */
export class ModelInvalid extends Schema.TaggedError<ModelInvalid>()("ModelInvalid", {
  tensor: Schema.String,
  reason: Schema.String,
  expected: Schema.optionalKey(Schema.Array(Schema.Int)),
  actual: Schema.optionalKey(Schema.Array(Schema.Int))
}) {
  override get message() {
    const shapes = this.expected ? ` (expected [${this.expected}], got [${this.actual ?? "nothing"}])` : ""
    return `model tensor ${brief(this.tensor)} ${this.reason}${shapes}`
  }
}

/** The model's output is not a finite number, though its weights are: they have grown too large. */
export class ModelDiverged extends Schema.TaggedError<ModelDiverged>()("ModelDiverged", {
  row: Schema.Int,
  token: Schema.Int
}) {
  override get message() {
    return `the model gives no finite log-probability for token ${this.token} of the completion of row ${this.row}`
  }
}

/** A `config.json` that is not of a Llama that can be computed here. */
export class ConfigInvalid extends Schema.TaggedError<ConfigInvalid>()("ConfigInvalid", { problem: Schema.String }) {
  override get message() {
    return `model configuration: ${brief(this.problem)}`
  }
}

/** Reads a Llama's configuration from the JSON of a `config.json`. */
export const decode = (json: unknown): Effect.Effect<LlamaConfig, ConfigInvalid> =>
  Schema.decodeUnknownEffect(LlamaConfig)(json).pipe(
    Effect.mapError(({ message }) => new ConfigInvalid({ problem: message }))
  )

/** Width of one attention head. */
export const headDim = (config: LlamaConfig): number =>
  config.head_dim ?? config.hidden_size / config.num_attention_heads

/** Base of the rotary positions. */
export const ropeTheta = (config: LlamaConfig): number => config.rope_parameters?.rope_theta ?? config.rope_theta

/** Name and shape of every tensor of the model, in the order of the computation. */
export const shapes = (config: LlamaConfig): ReadonlyMap<string, ReadonlyArray<number>> => {
  const { hidden_size: hidden, intermediate_size: inner, vocab_size: vocabulary } = config
  const queries = config.num_attention_heads * headDim(config)
  const keys = config.num_key_value_heads * headDim(config)
  const shapes = new Map<string, ReadonlyArray<number>>([["model.embed_tokens.weight", [vocabulary, hidden]]])
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}.`
    shapes
      .set(`${at}input_layernorm.weight`, [hidden])
      .set(`${at}self_attn.q_proj.weight`, [queries, hidden])
      .set(`${at}self_attn.k_proj.weight`, [keys, hidden])
      .set(`${at}self_attn.v_proj.weight`, [keys, hidden])
      .set(`${at}self_attn.o_proj.weight`, [hidden, queries])
      .set(`${at}post_attention_layernorm.weight`, [hidden])
      .set(`${at}mlp.gate_proj.weight`, [inner, hidden])
      .set(`${at}mlp.up_proj.weight`, [inner, hidden])
      .set(`${at}mlp.down_proj.weight`, [hidden, inner])
  }
  shapes.set("model.norm.weight", [hidden])
  return config.tie_word_embeddings ? shapes : shapes.set("lm_head.weight", [vocabulary, hidden])
}

/**
 * A linear head on hidden states beside the language model, `[outputs, hidden]`: the name that it has in Hugging Face's
 * classes for sequence classification. A model may have one.
 */
export const HEAD = "score.weight"

/** Number of learned numbers; a tied head counts once. */
export const parameterCount = (config: LlamaConfig): number =>
  [...shapes(config).values()].reduce((sum, shape) => sum + size(shape), 0)

/**
 * Fresh weights: norms one, everything else normal with deviation 0.02. Each tensor draws from the fork of `rng` under its
 * own name, so a model with more layers starts with the same weights in the layers they share.
 */
export const initialize = (config: LlamaConfig, rng: Rng.Rng): Weights =>
  new Map(
    [...shapes(config)].map(([name, shape]) => {
      const draws = rng.fork(name)
      const normal = (_: unknown, i: number) => 0.02 * draws.normal(i)
      const data = Float32Array.from({ length: size(shape) }, shape.length === 1 ? () => 1 : normal)
      return [name, { shape, data }]
    })
  )

/** Holds weights to the configuration: every tensor there, none besides, shapes right, numbers finite. */
export const validate = (config: LlamaConfig, weights: Weights): Effect.Effect<void, ModelInvalid> => {
  const outputs = weights.get(HEAD)?.shape[0]
  const expectedShapes = new Map(shapes(config))
  if (outputs !== undefined) expectedShapes.set(HEAD, [outputs, config.hidden_size])
  for (const [tensor, expected] of expectedShapes) {
    const weight = weights.get(tensor)
    if (!weight) return Effect.fail(new ModelInvalid({ tensor, reason: "is missing", expected }))
    const actual = weight.shape
    if (actual.length !== expected.length || actual.some((length, axis) => length !== expected[axis]))
      return Effect.fail(new ModelInvalid({ tensor, reason: "has the wrong shape", expected, actual }))
    if (weight.data.length !== size(expected))
      return Effect.fail(
        new ModelInvalid({ tensor, reason: "holds another number of values", expected, actual: [weight.data.length] })
      )
    const at = weight.data.findIndex((value) => !Number.isFinite(value))
    if (at >= 0) return Effect.fail(new ModelInvalid({ tensor, reason: `holds ${weight.data[at]} at index ${at}` }))
  }
  for (const tensor of weights.keys())
    if (!expectedShapes.has(tensor) && !tensor.endsWith(".rotary_emb.inv_freq"))
      return Effect.fail(new ModelInvalid({ tensor, reason: "is not a tensor of this configuration" }))
  return Effect.void
}

const size = (shape: ReadonlyArray<number>): number => shape.reduce((product, length) => product * length, 1)
