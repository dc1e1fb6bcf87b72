import { Schema } from "effect"
import * as Law from "../../../dsl/Law.ts"
import { Count, withDefault } from "../../../dsl/Params.ts"
import { expectedReward } from "../../../runtime/exact/bandit.ts"
import { policyOf } from "../../../runtime/exact/families.ts"
import { logSoftmax } from "../../../runtime/exact/numbers.ts"
import { responseLogProbs } from "../../../runtime/exact/Policy.ts"
import { Bandits, close, type Given } from "../generated.ts"
import { collectiveReward, Solutions, type Solve, seesNoNames } from "../Solutions.ts"

/** The logit of what float64 cannot tell from impossible. */
const LEAST = -700

const solve =
  (n: number, weights: ReadonlyArray<number>): Solve =>
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

/** The law of the best of `n` in the first context, normalized. */
const ofFirst = ({ world }: Given, n: number, scale = 1) =>
  logSoftmax(solve(n, [scale])(world, 0, responseLogProbs(policyOf(world.reference), 0)))
const worth = (given: Given, n: number) => expectedReward(ofFirst(given, n), given.world.rewards![0]![0]!)

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
  make: ({ n, weights }) => solve(n, weights),
  laws: [
    seesNoNames(solve(3, [1])),
    Law.make("the best of one is the reference", Bandits, (given) => {
      const reference = responseLogProbs(policyOf(given.world.reference), 0)
      return ofFirst(given, 1).every((value, y) => close(value, reference[y]!))
    }),
    Law.make("more answers never lower the expected reward", Bandits, (given) =>
      [1, 2, 3, 8].every((n) => worth(given, n + 1) > worth(given, n) - 1e-9)
    ),
    Law.make("the length of the weights is of no matter", Bandits, (given) =>
      ofFirst(given, 3).every((value, y) => value === ofFirst(given, 3, 4)[y])
    )
  ]
})
