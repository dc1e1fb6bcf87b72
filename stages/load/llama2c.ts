import { Effect, Schema, Stream } from "effect"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import { concatenate } from "../../dsl/internal/bytes.ts"
import * as Stage from "../../dsl/Stage.ts"
import { LlamaConfig } from "../../runtime/models/LlamaConfig.ts"
import { decode } from "../../runtime/models/llama2c.ts"
import * as File from "./File.ts"
import { laws, pieces, tokenizerJson } from "./sentencePiece.ts"

/** These models were trained on texts with only this token between them: it begins one and ends the one before. */
const BOUNDARY = { id: 1, token: "<s>" }

const read = (path: string) => Effect.map(Stream.runCollect(File.bytes(path)), concatenate)

/**
 * A language model from llama2.c's two files: the checkpoint of version 0 and its `tokenizer.bin`.
 * **Details** Begin- and end-of-sequence are one token, `<s>`, as llama2.c stops at it too. Both files' content enters
 * the key; the paths do not.
 * **Source** karpathy/llama2.c; the tinyllamas are published in this form.
 */
export const llama2c = Stage.make({
  name: "load.llama2c",
  description: "A language model from llama2.c's files",
  module: import.meta.url,
  params: { model: Schema.NonEmptyString, tokenizer: Schema.NonEmptyString },
  output: CheckpointFolder,
  laws,
  source: {
    params: ["model", "tokenizer"],
    fingerprint: ({ model, tokenizer }) => Effect.all({ model: File.digest(model), tokenizer: File.digest(tokenizer) })
  },
  run: ({ params }) =>
    Effect.gen(function* () {
      const { config, weights } = yield* decode(yield* read(params.model))
      const vocabulary = yield* pieces(yield* read(params.tokenizer), config.vocab_size)
      const checkpoint: Checkpoint = {
        config: {
          ...(Schema.encodeSync(LlamaConfig)(config) as Schema.JsonObject),
          bos_token_id: BOUNDARY.id,
          eos_token_id: BOUNDARY.id
        },
        weights,
        tokenizer: tokenizerJson(vocabulary),
        tokenizerConfig: {
          tokenizer_class: "PreTrainedTokenizerFast",
          clean_up_tokenization_spaces: false,
          bos_token: BOUNDARY.token,
          eos_token: BOUNDARY.token,
          unk_token: "<unk>"
        }
      }
      return checkpoint
    })
})
