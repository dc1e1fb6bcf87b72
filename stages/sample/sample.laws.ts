import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, one, policy, prompts, tokenizer } from "../laws/calls.ts"
import { few } from "../laws/laws.ts"
import { sample } from "./sample.ts"

const answersOf = (made: ReadonlyArray<any>): ReadonlyArray<any> => made.map(({ completions }) => completions)

export const contract = Contract.of(sample, {
  given: call({
    params: one<object>(
      { perPrompt: 2, maxTokens: 3 },
      { temperature: 0, maxTokens: 2 },
      { topK: 2, topP: 0.9, maxTokens: 2 }
    ),
    input: prompts,
    inputs: { policy }
  }),
  laws: few(3, [
    StageLaw.keeps("the prompt", (record) => record.prompt ?? record),
    StageLaw.output(
      "gives every prompt so many answers, as long as asked, spelt as their tokens",
      (made, { params }) => {
        const odd = answersOf(made)
          .flat()
          .find(
            ({ finish, text, tokens }: any) =>
              tokenizer.decode(tokens) !== text ||
              (finish === "length" ? tokens.length !== params.maxTokens : tokens.length >= params.maxTokens)
          )
        if (odd !== undefined) return JSON.stringify(odd)
        return answersOf(made).every(({ length }) => length === (params.perPrompt ?? 1)) || "other numbers of answers"
      }
    ),
    StageLaw.recordByRecord,
    StageLaw.related(
      "more answers leave the first ones as they are",
      (call) => StageLaw.withParams(call, { perPrompt: (call.params.perPrompt ?? 1) + 1 }),
      (made, more) =>
        StageLaw.near(
          answersOf(made),
          answersOf(more).map((all) => all.slice(0, -1)),
          0
        )
    ),
    StageLaw.related(
      "longer answers begin as the shorter ones",
      (call) => StageLaw.withParams(call, { maxTokens: call.params.maxTokens + 2 }),
      (made, longer, { params }) => {
        const tokens = (records: any) =>
          answersOf(records).map((all) => all.map((own: any) => own.tokens.slice(0, params.maxTokens)))
        return StageLaw.near(tokens(made), tokens(longer), 0)
      }
    ),
    StageLaw.related(
      "of one token only, the draw is the likeliest",
      (call) => {
        const { topK: _, topP: __, ...params } = call.params
        return { ...call, params: { ...params, temperature: 0 } }
      },
      (made, greedy) => StageLaw.near(made, greedy, 0),
      {
        given: call({
          params: one({ topK: 1, temperature: 2, maxTokens: 3 }, { topK: 1, perPrompt: 2, maxTokens: 2 }),
          input: prompts,
          inputs: { policy }
        })
      }
    )
  ])
})
