import { NonNegative } from "../../dsl/Params.ts"
import { FilterRule, idempotent, wholePrompt } from "./FilterRule.ts"

const atLeast = ({ min }: { readonly min: number }) =>
  wholePrompt((completions) => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    for (const { score } of completions) {
      low = Math.min(low, score)
      high = Math.max(high, score)
    }
    return high - low >= min
  })

/** Drops prompts whose best and worst answer score less than `min` apart. */
export const spread = FilterRule.define("spread", {
  module: import.meta.url,
  description: "Prompts whose answers differ enough in score",
  params: { min: NonNegative },
  make: atLeast,
  laws: [idempotent(atLeast({ min: 1 }))]
})
