import { Arbitrary, Schema } from "effect"
import * as Law from "../../dsl/Law.ts"
import { words } from "../load/selection.ts"
import { each, Reward, scoped, scopeField } from "./Reward.ts"

const count = (text: string) => words(text).length

const AnyText = Arbitrary.schema(Schema.String)
const laws: ReadonlyArray<Law.Law> = [
  Law.make("counts two texts with a space between as both", Arbitrary.all([AnyText, AnyText]), ([a, b]) => {
    const both = count(`${a} ${b}`)
    return Number.isInteger(both) && both >= 0 && both === count(a) + count(b)
  })
]

/**
 * The number of words (runs of non-space) of a text.
 * **Details** Nothing that people want by itself: added to another reward by `weighted` it makes one biased to length.
 */
export const wordCount = Reward.define("word-count", {
  module: import.meta.url,
  description: "Length in words",
  params: { scope: scopeField("completion") },
  make: ({ scope }) => {
    const read = scoped(scope)
    return each((answer) => count(read(answer)))
  },
  laws
})
