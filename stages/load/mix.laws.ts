import { Arbitrary } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { count, one, texts } from "../laws/calls.ts"
import { few } from "../laws/laws.ts"
import * as Tiny from "../laws/tiny.ts"
import { mix } from "./mix.ts"

const order = ["concatenated", "interleaved"] as const
const idsOf = (made: ReadonlyArray<{ readonly id: string }>) => made.map(({ id }) => id)
/** The texts of the one side have other ids than those of the other. */
const isLeft = (input: ReadonlyArray<{ readonly id: string }>) => {
  const left = new Set(idsOf(input))
  return ({ id }: { readonly id: string }) => left.has(id.replace(/~\d+$/, ""))
}

export const contract = Contract.of(mix, {
  given: Arbitrary.all([texts, count(1, 3), count(1, 3), one(...order)]).pipe(
    Arbitrary.map(([input, repeats, andRepeats, order]) => ({
      params: { repeats, andRepeats, order },
      input,
      inputs: { and: Tiny.texts }
    }))
  ),
  laws: few(25, [
    StageLaw.output("makes each text as often as asked, under ids that differ", (made, { input, inputs, params }) => {
      const wanted = [
        ...Array.from({ length: params.repeats }, () => input).flat(),
        ...Array.from({ length: params.andRepeats }, () => inputs.and).flat()
      ].map(({ text }: any) => text)
      if (new Set(idsOf(made)).size !== made.length) return "an id comes twice"
      return StageLaw.near(made.map(({ text }: any) => text).toSorted(), wanted.toSorted(), 0)
    }),
    StageLaw.related(
      "the order changes no text",
      (call) => StageLaw.withParams(call, { order: order[call.params.order === "interleaved" ? 0 : 1] }),
      (made, other) => StageLaw.near(idsOf(made).toSorted(), idsOf(other).toSorted(), 0)
    ),
    StageLaw.related(
      "either side keeps its own order",
      (call) => StageLaw.withParams(call, { order: "concatenated" }),
      (made, apart, { input }) => {
        const left = isLeft(input)
        return StageLaw.near([...made.filter(left), ...made.filter((text: any) => !left(text))], apart, 0)
      }
    ),
    StageLaw.related(
      "interleaved, both sides are used up evenly",
      (call) => StageLaw.withParams(call, { order: "interleaved" }),
      (_, made, { input }) => {
        const left = isLeft(input)
        const total = made.filter(left).length
        let taken = 0
        for (const [i, text] of made.entries()) {
          if (left(text)) taken++
          if (Math.abs(taken - (total * (i + 1)) / made.length) > 1) return `${taken} of ${total} after ${i + 1}`
        }
        return true
      }
    )
  ])
})
