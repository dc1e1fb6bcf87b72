import { Schema } from "effect"
import { Positive, withDefault } from "../../dsl/Params.ts"

/** Parameters of a cross-validated linear probe; see `linearProbe`. */
export const probeFields = {
  folds: Schema.Int.check(Schema.isGreaterThanOrEqualTo(2)).pipe(withDefault(5)),
  /** Weight of the sum of log-losses beside the penalty `1/2 |w|^2`. */
  strength: Positive.pipe(withDefault(1))
}
