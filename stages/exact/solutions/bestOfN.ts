import { Schema } from "effect"
import { Count, withDefault } from "../../../dsl/Params.ts"
import { collectiveReward, Solutions } from "../Solutions.ts"

/**
 * The law of the best of `n` answers of the reference by the weighted sum of the world's rewards: with the probability `F(s)` of
 * a score of at most `s` and `F(s-)` of one below it, `F(s)^n - F(s-)^n`, shared among equal scores as the reference has them.
 * Maximum likelihood on infinitely many such winners ends there.
 * **Source** Wang et al. 2024, arXiv 2402.18571 (DPA); the law is that of the largest of `n` independent draws.
 */
export const bestOfN = Solutions.define("best-of-n", {
  module: import.meta.url,
  description: "The law of the best of n answers",
  params: {
    n: Count.pipe(withDefault(8)),
    weights: Schema.Array(Schema.Finite).pipe(withDefault([1] as ReadonlyArray<number>))
  },
  make:
    ({ n, weights }) =>
    (world, context, logReference) => {
      const scores = collectiveReward(world, context, weights)
      const p = Array.from(logReference, Math.exp)
      const total = (holds: (score: number) => boolean) =>
        Math.min(
          1,
          p.reduce((sum, probability, y) => (holds(scores[y]!) ? sum + probability : sum), 0)
        )
      return p.map((probability, y) => {
        const [below, equal] = [total((score) => score < scores[y]!), total((score) => score === scores[y]!)]
        const won = (probability / equal) * (Math.min(1, below + equal) ** n - below ** n)
        return won > 0 ? Math.log(won) : LEAST
      })
    }
})

/** The logit of what float64 cannot tell from impossible. */
const LEAST = -700
