import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Checkpoint } from "../../../dsl/Checkpoint.ts"
import * as Rng from "../../../dsl/Rng.ts"
import * as Tokenizer from "../../../runtime/models/Tokenizer.ts"
import { untrained } from "../../../stages/load/untrained.ts"
import * as Tiny from "../tinyPolicy.ts"

describe("untrained", () => {
  it.effect("names the tokenizer's class and control tokens, as transformers needs them", () =>
    Effect.gen(function* () {
      const tokenizer = Tiny.tokenizerOf(Tiny.TEXTS)
      const { params, run } = untrained.stage
      const context = { input: tokenizer, params: params.make({} as never), rng: Rng.make(0, "untrained") }
      const made = yield* run(context as never) as Effect.Effect<Checkpoint, Error>
      assert.deepStrictEqual(made.tokenizerConfig, {
        tokenizer_class: "PreTrainedTokenizerFast",
        clean_up_tokenization_spaces: false,
        bos_token: "<|bos|>",
        eos_token: "<|eos|>"
      })
      const { bos, eos } = yield* Tokenizer.fromJson(made.tokenizer, made.tokenizerConfig)
      assert.deepStrictEqual([bos, eos], [made.config["bos_token_id"], made.config["eos_token_id"]])
    })
  )
})
