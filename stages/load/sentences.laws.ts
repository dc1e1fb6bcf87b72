import { Effect } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, one } from "../laws/calls.ts"
import { few, selection } from "../laws/laws.ts"
import { sentences } from "./sentences.ts"

const whole = call({ params: one({ split: "all" }, { split: "all", sources: ["yelp"], maxWords: 8 }) })
const idsOf = (made: ReadonlyArray<{ readonly id: string }>) => made.map(({ id }) => id)

export const contract = Contract.of(sentences, {
  given: call({ params: one({ split: "train", limit: 20 }, { split: "test", limit: 5, lowercase: true }) }),
  laws: few(3, [
    ...selection,
    StageLaw.make(
      "every sentence is on one side of the split",
      (run, { params }) =>
        Effect.gen(function* () {
          const [all, train, test] = [
            yield* run({ params }),
            yield* run({ params: { ...params, split: "train" } }),
            yield* run({ params: { ...params, split: "test" } })
          ].map(idsOf)
          return StageLaw.near([...train!, ...test!].toSorted(), all!.toSorted(), 0)
        }),
      { given: whole }
    ),
    StageLaw.related(
      "a larger share of tests only adds tests",
      ({ params }) => ({ params: { ...params, split: "test", testShare: 0.3 } }),
      (made, more, { params }) => {
        const larger = new Set(idsOf(more))
        const few = idsOf(made).filter((id) => !larger.has(id))
        return params.split === "all" || few.length === 0
      },
      { given: call({ params: one({ split: "test" }, { split: "test", sources: ["imdb"] }) }) }
    ),
    StageLaw.output(
      "no sentence comes twice, and about half of them are positive",
      (made) => {
        const texts = new Set(made.map(({ text }: any) => text.toLowerCase()))
        const positive = made.filter(({ label }: any) => label === 1).length / made.length
        return (texts.size === made.length && Math.abs(positive - 0.5) < 0.1) || `${positive} of ${made.length}`
      },
      { given: call({ params: one({ split: "all" }, { split: "all", sources: ["amazon"] }) }) }
    )
  ])
})
