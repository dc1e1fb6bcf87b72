import { Schema } from "effect"
import { Count, NonNegative, withDefault } from "../../../dsl/Params.ts"
import { normalVector } from "../../../runtime/exact/random.ts"
import { Worlds } from "../Worlds.ts"

/**
 * Sequences over a few symbols: a first-order reference policy with normal logits, at most `horizon` symbols, or exactly so
 * many where `endless`. `tokenRewards` is what each symbol is worth; a symbol beyond the list is worth 0.
 */
export const sequences = Worlds.define("sequences", {
  module: import.meta.url,
  description: "Sequences of a first-order policy with rewards of symbols",
  params: {
    symbols: Count.pipe(withDefault(6)),
    horizon: Count.pipe(withDefault(16)),
    endless: Schema.Boolean.pipe(withDefault(false)),
    /** Standard deviation of the reference's logits. */
    deviation: NonNegative.pipe(withDefault(0.5)),
    tokenRewards: Schema.Array(Schema.Finite).pipe(withDefault([1, -1] as ReadonlyArray<number>))
  },
  make:
    ({ deviation, endless, horizon, symbols, tokenRewards }) =>
    (rng) => ({
      reference: {
        family: { kind: "markov", symbols, horizon, endless },
        theta: [...normalVector((symbols + 1) * (endless ? symbols : symbols + 1), rng, deviation)]
      },
      tokenRewards: Array.from({ length: symbols }, (_, symbol) => tokenRewards[symbol] ?? 0)
    })
})
