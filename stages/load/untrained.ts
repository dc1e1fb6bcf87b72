import { Effect, Schema } from "effect"
import { TokenizerJson } from "../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Config from "../../runtime/models/LlamaConfig.ts"
import * as Tokenizer from "../../runtime/models/Tokenizer.ts"

/**
 * A Llama with fresh weights (norms one, the rest normal with deviation 0.02) for a tokenizer's vocabulary.
 * **Details** Its `tokenizer_config.json` names the tokenizer's class: without it `transformers` 4 takes every Llama's
 * tokenizer for SentencePiece's and adds tokens that the model does not have.
 */
export const untrained = Stage.make({
  name: "load.untrained",
  description: "A language model with fresh weights",
  module: import.meta.url,
  params: {
    hiddenSize: Count.pipe(withDefault(64)),
    intermediateSize: Count.pipe(withDefault(176)),
    layers: Count.pipe(withDefault(2)),
    heads: Count.pipe(withDefault(4)),
    keyValueHeads: Count.pipe(withDefault(4)),
    /** Most tokens in a sequence. */
    context: Count.pipe(withDefault(64)),
    tiedHead: Schema.Boolean.pipe(withDefault(true))
  },
  input: TokenizerJson,
  output: CheckpointFolder,
  random: true,
  run: ({ input, params, rng }) =>
    Effect.gen(function* () {
      const { bos, eos, tokenOf, vocabSize } = yield* Tokenizer.fromJson(input)
      const json = {
        vocab_size: vocabSize,
        hidden_size: params.hiddenSize,
        intermediate_size: params.intermediateSize,
        num_hidden_layers: params.layers,
        num_attention_heads: params.heads,
        num_key_value_heads: params.keyValueHeads,
        max_position_embeddings: params.context,
        tie_word_embeddings: params.tiedHead,
        bos_token_id: bos ?? null,
        eos_token_id: eos ?? null
      }
      const config = yield* Config.decode(json)
      return {
        config: Schema.encodeSync(Config.LlamaConfig)(config) as Schema.JsonObject,
        weights: Config.initialize(config, rng),
        tokenizer: input,
        tokenizerConfig: {
          tokenizer_class: "PreTrainedTokenizerFast",
          clean_up_tokenization_spaces: false,
          ...(bos === undefined ? {} : { bos_token: tokenOf(bos)! }),
          ...(eos === undefined ? {} : { eos_token: tokenOf(eos)! })
        }
      }
    })
})
