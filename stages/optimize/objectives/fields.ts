/** Parameters that several objectives share. */
import { Schema } from "effect"
import { withDefault } from "../../../dsl/Params.ts"
import type { Normalization } from "../statistics.ts"

/** How a log-likelihood is normalized; see `Normalization`. */
export const normalizationField = (fallback: Normalization) =>
  Schema.Literals(["sum", "sequenceMean", "tokenMean"]).pipe(withDefault(fallback))

/** How many answers a group has, at least 2. */
export const answersField = Schema.Int.check(Schema.isGreaterThanOrEqualTo(2)).pipe(withDefault(4))

/** `half` replaces `ln Z` by what it is to first order; `given` reads it from the number `logZ`. */
export const logZRange = { minimum: -5, maximum: 5 } as const
