import { Schema } from "effect"
import { each, FilterRule, idempotent } from "./FilterRule.ts"

const within = (bounds: { readonly min?: number; readonly max?: number }): FilterRule =>
  each(
    ({ score }) =>
      score >= (bounds.min ?? Number.NEGATIVE_INFINITY) && score <= (bounds.max ?? Number.POSITIVE_INFINITY)
  )

/** Keeps answers whose score lies between `min` and `max`, both inclusive; a bound left out does not bound. */
export const scoreBounds = FilterRule.define("score", {
  module: import.meta.url,
  description: "Answers within bounds of their score",
  params: { min: Schema.optionalKey(Schema.Finite), max: Schema.optionalKey(Schema.Finite) },
  make: within,
  laws: [idempotent(within({ min: -0.5, max: 1 }))]
})
