import { FilterRule, idempotent } from "./FilterRule.ts"

const rule: FilterRule = {
  keeps: (completions) => {
    const seen = new Set<string>()
    return completions.map(({ text }) => {
      const known = seen.has(text.trim())
      seen.add(text.trim())
      return !known
    })
  }
}

/** Drops answers whose text, spaces at the ends aside, an earlier answer to the same prompt has already. */
export const distinct = FilterRule.define("distinct", {
  module: import.meta.url,
  description: "The first of equal answers to a prompt",
  params: {},
  make: () => rule,
  laws: [idempotent(rule)]
})
