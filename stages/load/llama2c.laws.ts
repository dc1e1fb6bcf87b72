import { Arbitrary } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, one } from "../laws/calls.ts"
import * as Files from "../laws/files.ts"
import { few, sameWeights } from "../laws/laws.ts"
import * as Llama2c from "../laws/llama2cFile.ts"
import { llama2c } from "./llama2c.ts"

const paths = (weights: number, scores: number) => ({
  model: Files.file(`tiny-${weights}.bin`, Llama2c.modelOf(weights)),
  tokenizer: Files.file(`tokenizer-${scores}.bin`, Llama2c.tokenizerOf(scores))
})

export const contract = Contract.of(llama2c, {
  given: call({
    params: one(
      () => paths(1, 1),
      () => ({ ...paths(1, 1), tokenizer: Files.file("cut.bin", Llama2c.tokenizer.subarray(1)) })
    ).pipe(Arbitrary.map((make) => make()))
  }),
  laws: few(3, [
    StageLaw.related(
      "every weight follows a number of the file",
      () => ({ params: paths(2, 1) }),
      (made, doubled) => {
        const twice = [...made.weights].map(([name, { data, shape }]: any) => [
          name,
          { shape, data: data.map((x: number) => 2 * x) }
        ])
        return sameWeights({ ...made, weights: new Map(twice as never) }, doubled)
      }
    ),
    StageLaw.related(
      "of the pieces' scores only their order counts",
      () => ({ params: paths(1, 3) }),
      (made, other) => StageLaw.near(made.tokenizer, other.tokenizer, 0)
    ),
    StageLaw.output("has a token for every row of the embedding", ({ config, tokenizer, weights }) => {
      const shape = weights.get("model.embed_tokens.weight").shape
      const tokens = new Set(Object.values(tokenizer.model.vocab)).size
      return StageLaw.near([shape, tokens], [[config.vocab_size, config.hidden_size], config.vocab_size], 0)
    })
  ])
})
