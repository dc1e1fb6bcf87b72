import { Arbitrary } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { count, one, some } from "../laws/calls.ts"
import { few } from "../laws/laws.ts"
import { prefixes } from "./prefixes.ts"

const phrase = one(
  "good",
  "good food",
  "good food here",
  "bad  food",
  " bad food so far",
  "very\tbad",
  "very bad service"
)
const texts = some(phrase, 8).pipe(Arbitrary.map((all) => all.map((text, i) => ({ id: `t${i}`, text }))))
const textsOf = (made: ReadonlyArray<{ readonly text: string }>) => made.map(({ text }) => text)

export const contract = Contract.of(prefixes, {
  given: Arbitrary.all([texts, count(1, 3), one("given", "shuffled"), one<object>({}, { limit: 2 })]).pipe(
    Arbitrary.map(([input, words, order, limit]) => ({ params: { words, order, ...limit }, input }))
  ),
  laws: few(25, [
    StageLaw.output("makes the first words of the text that it names, which goes on", (made, { input, params }) => {
      const odd = made.find(({ id, text }: any) => {
        const words = input
          .find((one: any) => one.id === id)
          .text.trim()
          .split(/\s+/)
        return words.length <= params.words || words.slice(0, params.words).join(" ") !== text
      })
      return odd === undefined || JSON.stringify(odd)
    }),
    StageLaw.related(
      "leaves out no beginning, and makes none twice",
      ({ input, params }) => ({ params: { words: params.words }, input }),
      (_, made, { input, params }) => {
        const all = input.map(({ text }: any) => text.trim().split(/\s+/))
        const long = all.filter((words: any) => words.length > params.words)
        const wanted = new Set(long.map((words: any) => words.slice(0, params.words).join(" ")))
        return StageLaw.near(textsOf(made), [...wanted], 0)
      }
    ),
    StageLaw.related(
      "shuffled, the prompts are the same",
      ({ input, params }) => ({ params: { words: params.words, order: "shuffled" }, input }),
      (made, shuffled, { params }) =>
        params.limit !== undefined || StageLaw.near(textsOf(made).toSorted(), textsOf(shuffled).toSorted(), 0)
    ),
    StageLaw.related(
      "a limit takes the first",
      (call) => StageLaw.withParams(call, { limit: 1 }),
      (made, first) => StageLaw.near(made.slice(0, 1), first, 0)
    ),
    StageLaw.related(
      "makes none of those that it is to be without",
      (call, made) => ({ ...call, inputs: { without: made } }),
      (made, others) => {
        const taken = new Set(textsOf(made))
        return textsOf(others).every((text) => !taken.has(text))
      }
    )
  ])
})
