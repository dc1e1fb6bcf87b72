import { Effect } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import * as Tokenizer from "../../runtime/models/Tokenizer.ts"
import { call, one, texts } from "../laws/calls.ts"
import { few } from "../laws/laws.ts"
import { tokenizer } from "./tokenizer.ts"

export const contract = Contract.of(tokenizer, {
  given: call({
    params: one<object>({ vocabSize: 262, minFrequency: 1 }, { vocabSize: 270 }, { vocabSize: 10 }),
    input: texts
  }),
  laws: few(25, [
    StageLaw.output("writes every text and reads it again", (made, { input }) => {
      const own = Effect.runSync(Tokenizer.fromJson(made))
      const texts: ReadonlyArray<string> = [...input.map(({ text }: any) => text), "never seen: ß\n🙂", ""]
      const odd = texts.find((text) => own.decode(own.encode(text)) !== text)
      return odd === undefined || JSON.stringify(odd)
    }),
    StageLaw.output("has the two control tokens, every byte, and no more tokens than asked", (made, { params }) => {
      const { merges, vocab } = made.model
      const special = made.added_tokens.map(({ content, id }: any) => [content, id])
      if (Object.keys(vocab).length > params.vocabSize) return `${Object.keys(vocab).length} tokens`
      return StageLaw.near(
        [special, Object.keys(vocab).length - merges.length],
        [
          [
            ["<|bos|>", 0],
            ["<|eos|>", 1]
          ],
          258
        ],
        0
      )
    }),
    StageLaw.related(
      "a larger vocabulary begins with the smaller one",
      (call) => StageLaw.withParams(call, { vocabSize: call.params.vocabSize + 3 }),
      (made, larger) => StageLaw.near(larger.model.merges.slice(0, made.model.merges.length), made.model.merges, 0)
    ),
    StageLaw.related(
      "texts given twice merge alike at twice the frequency",
      (call) => ({
        params: { ...call.params, minFrequency: 2 * (call.params.minFrequency ?? 2) },
        input: [...call.input, ...call.input.map(({ id, text }: any) => ({ id: `${id}'`, text }))]
      }),
      (made, twice) => StageLaw.near(made, twice, 0)
    ),
    StageLaw.ignoresOrder(0)
  ])
})
