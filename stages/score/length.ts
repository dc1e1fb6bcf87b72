import { Schema } from "effect"
import { Count, withDefault } from "../../dsl/Params.ts"
import { each, Reward, scoped, scopeField } from "./Reward.ts"

/**
 * How near a text's length is to a target: `-|length - target| / target`, at most 0.
 * **Details** Counted in words (runs of non-space) or in characters (code points). An empty text scores -1.
 */
export const length = Reward.define("length", {
  module: import.meta.url,
  description: "Nearness of a text's length to a target",
  params: {
    target: Count,
    unit: Schema.Literals(["words", "characters"]).pipe(withDefault("words")),
    scope: scopeField("completion")
  },
  make: ({ scope, target, unit }) => {
    const read = scoped(scope)
    const count = unit === "words" ? words : characters
    return each((answer) => 0 - Math.abs(count(read(answer)) - target) / target)
  }
})

const words = (text: string) => text.match(/\S+/g)?.length ?? 0
const characters = (text: string) => [...text].length
