import { Schema } from "effect"
import { Count, Probability, withDefault } from "../../../dsl/Params.ts"
import { Worlds } from "../Worlds.ts"

/**
 * One context in which response 0 is always preferred to response 1, and the others are compared with nobody. Policies are
 * `reference exp(theta . phi)` with two features: the first is what the two compared responses share, `(1, lead)` and
 * `(1, 0)`; of the second, which tells them apart, the `unseen` other responses have more: `(0, a)`, `a` uniform in
 * [0.5, 1).
 * **Details** `seen` is the reference's probability of each of the two compared responses, the rest is spread evenly.
 */
export const dispersion = Worlds.define("dispersion", {
  module: import.meta.url,
  description: "One pair, and responses that share with it what tells it apart",
  params: {
    unseen: Count.pipe(withDefault(8)),
    seen: Probability.check(Schema.isGreaterThan(0), Schema.isLessThan(0.5)).pipe(withDefault(0.4)),
    lead: Schema.Finite.pipe(withDefault(0.3))
  },
  make:
    ({ lead, seen, unseen }) =>
    (rng) => {
      const others = Array.from({ length: unseen }, (_, u) => 0.5 + 0.5 * rng.uniform(u))
      const reference = [seen, seen, ...others.map(() => (1 - 2 * seen) / unseen)]
      const wins = (y: number, z: number) => (y === 0 && z === 1 ? 1 : y === 1 && z === 0 ? 0 : 0.5)
      return {
        reference: {
          family: {
            kind: "linear",
            base: [reference.map(Math.log)],
            features: [[[1, lead], [1, 0], ...others.map((a) => [0, a])]]
          },
          theta: [0, 0]
        },
        preferences: [reference.map((_, y) => reference.map((_, z) => wins(y, z)))]
      }
    }
})
