import { Schema } from "effect"
import { withDefault } from "../../../dsl/Params.ts"

/** The probability that a label is wrong, in [0, 1/2]; 0 unless told. */
export const labelSmoothingField = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 0.5 })).pipe(
  withDefault(0)
)
