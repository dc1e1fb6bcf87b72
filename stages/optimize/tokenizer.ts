import { Effect, Stream } from "effect"
import { Texts, TokenizerJson } from "../../dsl/artifacts.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { train } from "../../runtime/models/bpe.ts"

/** The control tokens of tokenizers trained here; `Tokenizer` knows them by name. */
const SPECIAL_TOKENS = ["<|bos|>", "<|eos|>"]

/** Trains a byte-level BPE tokenizer. Keeps the counts of distinct words in memory, not the texts. */
export const tokenizer = Stage.make({
  name: "optimize.tokenizer",
  description: "A byte-level BPE tokenizer trained on texts",
  module: import.meta.url,
  params: { vocabSize: Count.pipe(withDefault(512)), minFrequency: Count.pipe(withDefault(2)) },
  input: Texts,
  output: TokenizerJson,
  run: ({ input, params }) =>
    Effect.gen(function* () {
      const texts = yield* input.stream.pipe(
        Stream.map(({ text }) => text),
        Stream.runCollect
      )
      return yield* train(texts, { ...params, specialTokens: SPECIAL_TOKENS })
    })
})
