/**
 * A checkpoint as the folder that `transformers` loads without a word: `AutoModelForCausalLM.from_pretrained` gives the
 * same logits, `AutoTokenizer.from_pretrained` the ids that prefline reads a text as, the begin-of-sequence token included.
 */
import { Effect, type Schema } from "effect"
import * as Checkpoint from "../../dsl/Checkpoint.ts"
import * as Json from "../../dsl/internal/json.ts"
import type { JsonObject } from "../../dsl/Json.ts"
import * as Config from "../models/LlamaConfig.ts"
import * as Tokenizer from "../models/Tokenizer.ts"

export interface File {
  readonly name: string
  readonly bytes: Iterable<Uint8Array>
}

/**
 * The folder's files, deterministic.
 * **Details** What the checkpoint says stays; what is missing is added: the weights' precision, the tokenizer's class and
 * special tokens, a post-processor that puts the begin-of-sequence token first, `generation_config.json`.
 * **Gotchas** `transformers` reads the text of a special token in a text as that token, prefline does not: texts that hold
 * `<|eos|>` and the like are read differently.
 */
export const files = Effect.fn("huggingFace.files")(function* (
  checkpoint: Checkpoint.Checkpoint
): Effect.fn.Return<ReadonlyArray<File>, Config.ConfigInvalid | Config.ModelInvalid | Tokenizer.TokenizerInvalid> {
  const config = yield* Config.decode(checkpoint.config)
  yield* Config.validate(config, checkpoint.weights)
  const tokenizer = yield* Tokenizer.fromJson(checkpoint.tokenizer, checkpoint.tokenizerConfig)
  const { bos, eos, pad } = tokenizer
  const ids = { ...(bos !== undefined && { bos_token_id: bos }), ...(eos !== undefined && { eos_token_id: eos }) }
  const named = "dtype" in checkpoint.config || "torch_dtype" in checkpoint.config
  const complete: Checkpoint.Checkpoint = {
    ...checkpoint,
    config: {
      ...(named ? {} : { torch_dtype: "float32" }),
      architectures: [...config.architectures],
      model_type: config.model_type,
      ...ids,
      ...withoutNulls(checkpoint.config)
    },
    tokenizer: withBos(checkpoint.tokenizer, bos === undefined ? undefined : [tokenizer.tokenOf(bos)!, bos]),
    tokenizerConfig: {
      tokenizer_class: "PreTrainedTokenizerFast",
      clean_up_tokenization_spaces: false,
      model_max_length: config.max_position_embeddings,
      ...(bos === undefined ? {} : { bos_token: tokenizer.tokenOf(bos)! }),
      ...(eos === undefined ? {} : { eos_token: tokenizer.tokenOf(eos)! }),
      ...(pad === undefined ? {} : { pad_token: tokenizer.tokenOf(pad)! }),
      ...withoutNulls(checkpoint.tokenizerConfig ?? {})
    }
  }
  const generation = { ...ids, ...(pad === undefined ? {} : { pad_token_id: pad }) }
  const written: ReadonlyArray<File> = [
    ...Checkpoint.toFiles(complete),
    { name: "generation_config.json", bytes: [new TextEncoder().encode(Json.print(generation))] }
  ]
  return written.toSorted((a, b) => (a.name < b.name ? -1 : 1))
})

const withoutNulls = (json: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(json).filter(([, value]) => value !== null))

/** A tokenizer without post-processor gets one that puts the token before a text, as every prompt here begins with it. */
const withBos = (
  tokenizer: Schema.JsonObject,
  bos: readonly [token: string, id: number] | undefined
): Schema.JsonObject => {
  if (bos === undefined || (tokenizer["post_processor"] ?? null) !== null) return tokenizer
  const [token, id] = bos
  const special = { SpecialToken: { id: token, type_id: 0 } }
  const sequence = (name: "A" | "B", type: number) => ({ Sequence: { id: name, type_id: type } })
  return {
    ...tokenizer,
    post_processor: {
      type: "TemplateProcessing",
      single: [special, sequence("A", 0)],
      pair: [special, sequence("A", 0), sequence("B", 1)],
      special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } }
    }
  }
}
