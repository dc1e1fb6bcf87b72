import { Schema } from "effect"
import { Count, Index, withDefault } from "../../dsl/Params.ts"
import { each, FilterRule, idempotent } from "./FilterRule.ts"

const within = (bounds: { readonly min: number; readonly max?: number }): FilterRule =>
  each(({ text }) => {
    const words = text.match(/\S+/g)?.length ?? 0
    return words >= bounds.min && words <= (bounds.max ?? Number.POSITIVE_INFINITY)
  })

/** Keeps answers of `min` to `max` words (runs of non-space), both inclusive; without `max` there is no upper bound. */
export const lengthBounds = FilterRule.define("length", {
  module: import.meta.url,
  description: "Answers within bounds of their length in words",
  params: { min: Index.pipe(withDefault(1)), max: Schema.optionalKey(Count) },
  make: within,
  laws: [idempotent(within({ min: 2, max: 3 }))]
})
