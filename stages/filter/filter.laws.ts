import { Arbitrary } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, one, scored } from "../laws/calls.ts"
import { few } from "../laws/laws.ts"
import { distinct } from "./distinct.ts"
import { filter } from "./filter.ts"
import { lengthBounds } from "./lengthBounds.ts"
import { minCompletions } from "./minCompletions.ts"
import { nonEmpty } from "./nonEmpty.ts"
import { scoreBounds } from "./scoreBounds.ts"

const rules = one(
  distinct(),
  nonEmpty(),
  minCompletions({ count: 2 }),
  lengthBounds({ min: 2 }),
  scoreBounds({ min: 0 })
)
const isPart = (part: ReadonlyArray<any>, whole: ReadonlyArray<any>) => {
  let at = -1
  return part.every((own) => {
    at = whole.findIndex((other, i) => i > at && StageLaw.near(own, other, 0) === true)
    return at >= 0
  })
}

export const contract = Contract.of(filter, {
  inputs: { input: scored },
  laws: few(25, [
    StageLaw.output("keeps some of the prompts in order, of each some of its answers in order", (made, { input }) => {
      const ids = made.map(({ prompt }: any) => prompt.id)
      const order = input.map(({ prompt }: any) => prompt.id).filter((id: any) => ids.includes(id))
      if (StageLaw.near(ids, order, 0) !== true) return `the prompts ${ids}`
      const odd = made.find(({ completions, prompt }: any) => {
        const whole = input.find((group: any) => group.prompt.id === prompt.id)
        return StageLaw.near(whole.prompt, prompt, 0) !== true || !isPart(completions, whole.completions)
      })
      return odd === undefined || `other answers to ${odd.prompt.id}`
    }),
    StageLaw.output("leaves no prompt without answers", (made) =>
      made.every(({ completions }: any) => completions.length > 0)
    ),
    StageLaw.recordByRecord,
    StageLaw.related(
      "keeps all of what a rule kept",
      (call, made) => ({ ...call, input: made }),
      (made, again) => StageLaw.near(made, again, 0),
      { given: call({ params: rules.pipe(Arbitrary.map((by) => ({ by }))), input: scored }) }
    ),
    StageLaw.output(
      "keeps exactly the answers with the scores asked for",
      (made, { input }) => {
        const wanted = input.flatMap(({ completions }: any) => completions.filter(({ score }: any) => score >= 0))
        return StageLaw.near(
          made.flatMap(({ completions }: any) => completions),
          wanted,
          0
        )
      },
      { given: call({ params: one({ by: scoreBounds({ min: 0 }) }), input: scored }) }
    )
  ])
})
