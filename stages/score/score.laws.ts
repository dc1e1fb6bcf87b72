import { Effect } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, completion, groups, one } from "../laws/calls.ts"
import { few } from "../laws/laws.ts"
import { afinn } from "./afinn.ts"
import { length } from "./length.ts"
import { repetition } from "./repetition.ts"
import { score } from "./score.ts"
import { wordCount } from "./wordCount.ts"

const scoresOf = (made: ReadonlyArray<any>): ReadonlyArray<ReadonlyArray<number>> =>
  made.map(({ completions }) => completions.map((own: any) => own.score))

export const contract = Contract.of(score, {
  given: call({
    params: one(
      { reward: afinn() },
      { reward: repetition() },
      { reward: length({ target: 2 }) },
      { reward: wordCount() }
    ),
    input: groups(completion)
  }),
  laws: few(25, [
    StageLaw.keeps("prompt and answers", ({ completions, prompt }) => ({
      prompt,
      completions: completions.map(({ score: _, ...own }: any) => own)
    })),
    StageLaw.recordByRecord,
    StageLaw.make("scores each answer as the reward does alone", (run, call) =>
      Effect.gen(function* () {
        const { input, params }: any = call
        const made = yield* run(call)
        const alone = yield* Effect.forEach(input, ({ completions, prompt }: any) =>
          Effect.forEach(completions, ({ text }: any) =>
            Effect.map(
              params.reward.implementation.score([{ prompt: prompt.text, completion: text }]) as Effect.Effect<
                ReadonlyArray<number>
              >,
              ([first]) => first!
            )
          )
        )
        return StageLaw.near(scoresOf(made), alone, 0)
      })
    ),
    StageLaw.related(
      "the answers of a prompt in another order have the same scores",
      (call) =>
        StageLaw.withInput(
          call,
          call.input.map((group: any) => ({ ...group, completions: group.completions.toReversed() }))
        ),
      (made, reversed) =>
        StageLaw.near(
          scoresOf(made),
          scoresOf(reversed).map((scores) => scores.toReversed()),
          0
        )
    )
  ])
})
