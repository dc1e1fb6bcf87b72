import { Schema } from "effect"
import { Index, Positive, withDefault } from "../../dsl/Params.ts"

/** Parameters of a gold reward; see `Gold`. */
export const goldFields = {
  objective: Index.pipe(withDefault(0)),
  perToken: Schema.Boolean.pipe(withDefault(false)),
  lengthWeight: Schema.Finite.pipe(withDefault(0)),
  scale: Positive.pipe(withDefault(1))
}
