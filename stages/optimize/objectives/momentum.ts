import { Schema } from "effect"
import { withDefault } from "../../../dsl/Params.ts"

/** How much of a moving mean stays from step to step, in [0, 1); 0.9 unless told. */
export const momentumField = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0), Schema.isLessThan(1)).pipe(
  withDefault(0.9)
)
