import { Schema } from "effect"
import { Count, Positive, Probability, withDefault } from "../../../dsl/Params.ts"
import { Worlds } from "../Worlds.ts"

/**
 * Sequences of independent types whose reference stops after each token with the same probability, while a policy may make
 * that depend on the position. `types` are the probabilities of the types (they are normalized), `tokenRewards` what each is
 * worth, 0 beyond the list. Nothing of it is random.
 */
export const hazards = Worlds.define("hazards", {
  module: import.meta.url,
  description: "Sequences of independent types with a stop hazard at each position",
  params: {
    types: Schema.NonEmptyArray(Positive).pipe(withDefault([0.2, 0.2, 0.6] as const)),
    horizon: Count.pipe(withDefault(40)),
    /** The reference's probability to stop after a token, between 0 and 1. */
    hazard: Probability.check(Schema.isGreaterThan(0), Schema.isLessThan(1)).pipe(withDefault(0.1)),
    tokenRewards: Schema.Array(Schema.Finite).pipe(withDefault([1, -1] as ReadonlyArray<number>))
  },
  make:
    ({ hazard, horizon, tokenRewards, types }) =>
    () => ({
      reference: {
        family: { kind: "hazard", types: types.length, horizon },
        theta: [
          ...types.map(Math.log),
          ...Array.from({ length: horizon - 1 }, () => Math.log(hazard) - Math.log1p(-hazard))
        ]
      },
      tokenRewards: types.map((_, type) => tokenRewards[type] ?? 0)
    })
})
