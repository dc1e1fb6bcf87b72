import { Effect } from "effect"
import type { Completion } from "../../dsl/artifacts.ts"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { answered, call, groups, one, policy, tokenizer } from "../laws/calls.ts"
import { few } from "../laws/laws.ts"
import { revise } from "./revise.ts"

const answersOf = (made: ReadonlyArray<any>): ReadonlyArray<any> => made.map(({ completions }) => completions)
/** Short enough for the tiny model's context, the default template around them. */
const drafts = groups(
  one<Completion>({ text: "", finish: "stop" }, { text: " good", finish: "length" }, { text: " bad", finish: "stop" })
)

/** Drafts and revisions fit into the model's context twice. */
const greedy = call({
  params: one<object>({ temperature: 0, maxTokens: 2, before: "", after: " " }),
  input: one(answered, answered.slice(1)),
  inputs: { policy }
})

export const contract = Contract.of(revise, {
  given: call({
    params: one<object>({ maxTokens: 2 }, { rounds: 2, maxTokens: 2, before: "", after: " " }),
    input: drafts,
    inputs: { policy }
  }),
  laws: few(3, [
    StageLaw.keeps("prompt and number of answers", ({ completions, prompt }) => [prompt, completions.length]),
    StageLaw.output("makes answers as long as asked, spelt as their tokens", (made, { params }) => {
      const odd = answersOf(made)
        .flat()
        .find(({ text, tokens }: any) => tokenizer.decode(tokens) !== text || tokens.length > params.maxTokens)
      return odd === undefined || JSON.stringify(odd)
    }),
    StageLaw.recordByRecord,
    StageLaw.related(
      "a further draft leaves the revisions before it as they are",
      (call) =>
        StageLaw.withInput(
          call,
          call.input.map(({ completions, prompt }: any) => ({
            prompt,
            completions: [...completions, { text: " so so", finish: "stop" }]
          }))
        ),
      (made, more) =>
        StageLaw.near(
          answersOf(made),
          answersOf(more).map((all) => all.slice(0, -1)),
          0
        )
    ),
    StageLaw.make(
      "two rounds without randomness are one after the other",
      (run, call) =>
        Effect.gen(function* () {
          const first = yield* run(call)
          const second = yield* run({ ...call, input: first })
          return StageLaw.near(second, yield* run(StageLaw.withParams(call, { rounds: 2 })), 0)
        }),
      { given: greedy }
    )
  ])
})
