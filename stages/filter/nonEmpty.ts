import { each, FilterRule, idempotent } from "./FilterRule.ts"

const rule = each(({ text }) => text.trim() !== "")

/** Drops answers of nothing but white space. */
export const nonEmpty = FilterRule.define("non-empty", {
  module: import.meta.url,
  description: "Answers with some text",
  params: {},
  make: () => rule,
  laws: [idempotent(rule)]
})
