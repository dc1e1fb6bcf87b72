import { Schema } from "effect"
import { Count, NonNegative, withDefault } from "../../../dsl/Params.ts"
import { normalVector } from "../../../runtime/exact/random.ts"
import { Worlds } from "../Worlds.ts"

/**
 * Sequences of `length` independent symbols: a reference with normal logits, the same for every `length` at the same seed
 * and stream. `tokenRewards` is what each symbol is worth; a symbol beyond the list is worth 0.
 */
export const unigrams = Worlds.define("unigrams", {
  module: import.meta.url,
  description: "Sequences of independent symbols with rewards of symbols",
  params: {
    symbols: Count.pipe(withDefault(20)),
    length: Count.pipe(withDefault(12)),
    /** Standard deviation of the reference's logits. */
    deviation: NonNegative.pipe(withDefault(0.3)),
    tokenRewards: Schema.Array(Schema.Finite).pipe(withDefault([1, -1] as ReadonlyArray<number>))
  },
  make:
    ({ deviation, length, symbols, tokenRewards }) =>
    (rng) => ({
      reference: {
        family: { kind: "unigram", symbols, length },
        theta: [...normalVector(symbols, rng, deviation)]
      },
      tokenRewards: Array.from({ length: symbols }, (_, symbol) => tokenRewards[symbol] ?? 0)
    })
})
