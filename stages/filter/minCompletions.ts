import { Count, withDefault } from "../../dsl/Params.ts"
import { FilterRule, idempotent, wholePrompt } from "./FilterRule.ts"

const atLeast = ({ count }: { readonly count: number }) => wholePrompt((completions) => completions.length >= count)

/** Drops prompts with fewer than `count` answers. */
export const minCompletions = FilterRule.define("min-completions", {
  module: import.meta.url,
  description: "Prompts with enough answers",
  params: { count: Count.pipe(withDefault(2)) },
  make: atLeast,
  laws: [idempotent(atLeast({ count: 3 }))]
})
