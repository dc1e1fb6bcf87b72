/** Parameters that several objectives share. */
import { Schema } from "effect"
import { withDefault } from "../../../dsl/Params.ts"
import type { Normalization } from "../statistics.ts"

/** How a log-likelihood is normalized; see `Normalization`. */
export const normalizationField = (fallback: Normalization) =>
  Schema.Literals(["sum", "sequenceMean", "tokenMean"]).pipe(withDefault(fallback))

/** How many answers a group has, at least 2. */
export const answersField = Schema.Int.check(Schema.isGreaterThanOrEqualTo(2)).pipe(withDefault(4))

/** Where the number `logZ`, the `ln Z` of a prompt in nats, is generated. */
export const logZRange = { minimum: -5, maximum: 5 } as const
