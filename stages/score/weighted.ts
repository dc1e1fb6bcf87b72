import { Arbitrary, Effect, Schema } from "effect"
import * as Law from "../../dsl/Law.ts"
import { Reward } from "./Reward.ts"
import { scoresOf } from "./scoresOf.ts"

/** Of rows of scores, one row a reward, the sum down each column, every row times its weight. */
const combined = (rows: ReadonlyArray<ReadonlyArray<number>>, weights: ReadonlyArray<number>): ReadonlyArray<number> =>
  (rows[0] ?? []).map((_, i) => rows.reduce((sum, row, r) => sum + weights[r]! * row[i]!, 0))

const Whole = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -50, maximum: 50 })))
const Row = Arbitrary.all([Whole, Whole, Whole])
const Table = Arbitrary.array(Arbitrary.all([Row, Whole]), { minLength: 1, maxLength: 4 }).pipe(
  Arbitrary.map((rows) => ({ rows: rows.map(([row]) => row), weights: rows.map(([, weight]) => weight) }))
)
const same = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) => a.every((x, i) => x === b[i])

const laws: ReadonlyArray<Law.Law> = [
  Law.make("a reward of weight 1 is itself, of weight 0 nothing", Table, ({ rows }) =>
    rows.every((row, own) =>
      same(
        combined(
          rows,
          rows.map((_, r) => (r === own ? 1 : 0))
        ),
        row
      )
    )
  ),
  Law.make("is linear in the weights", Table, ({ rows, weights }) => {
    const twice = combined(
      rows,
      weights.map((weight) => 2 * weight + 1)
    )
    const [once, plain] = [combined(rows, weights), combined(rows, Array(rows.length).fill(1))]
    return twice.every((x, i) => x === 2 * once[i]! + plain[i]!)
  }),
  Law.make("does not depend on the order of the rewards", Table, ({ rows, weights }) =>
    same(combined(rows, weights), combined(rows.toReversed(), weights.toReversed()))
  )
]

/**
 * The sum of rewards, each times its weight, which may be negative.
 * **Details** A reward with a bias to length, for a proxy that differs from its gold reward in just that:
 * `weighted({ rewards: [{ reward: afinn(), weight: 1 }, { reward: wordCount(), weight: 0.02 }] })`. Fails with
 * `RewardFailed` where one of them does or gives a score that is not finite.
 */
export const weighted = Reward.define("weighted", {
  module: import.meta.url,
  description: "A weighted sum of rewards",
  params: {
    rewards: Schema.NonEmptyArray(Schema.Struct({ reward: Reward.schema, weight: Schema.Finite }))
  },
  make: ({ rewards }) => ({
    score: (answers) =>
      Effect.map(
        Effect.forEach(rewards, ({ reward }) => scoresOf(reward, answers)),
        (rows) =>
          combined(
            rows,
            rewards.map(({ weight }) => weight)
          )
      )
  }),
  laws
})
