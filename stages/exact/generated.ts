/** Small random worlds and policies for the laws of what works in them. */
import { Arbitrary, Schema } from "effect"
import type { Pair } from "../../dsl/artifacts.ts"
import type { ExactPolicy, World } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { sigmoid } from "../../runtime/exact/numbers.ts"
import { completionOf, promptOf } from "./rows.ts"

const Real = Arbitrary.schema(Law.Real(-2, 2))
const matrixOf = (values: ReadonlyArray<number>, contexts: number, responses: number) =>
  Array.from({ length: contexts }, (_, c) => values.slice(c * responses, (c + 1) * responses))

/** One or two contexts, two to four responses. */
const Sizes = Arbitrary.all({
  contexts: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2 }))),
  responses: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 4 })))
})
const Eight = Arbitrary.array(Real, { minLength: 8, maxLength: 8 })

export interface Given {
  readonly world: World
  readonly policy: ExactPolicy
  readonly other: ExactPolicy
}

/** A bandit with Bradley-Terry preferences, and two policies in it. */
export const Bandits: Arbitrary.Arbitrary<Given> = Arbitrary.all([Sizes, Eight, Eight, Eight, Eight]).pipe(
  Arbitrary.map(([{ contexts, responses }, reference, reward, policy, other]) => {
    const softmax = (theta: ReadonlyArray<number>): ExactPolicy => ({
      family: { kind: "softmax", contexts, responses },
      theta: theta.slice(0, contexts * responses)
    })
    return {
      world: { reference: softmax(reference), rewards: [matrixOf(reward, contexts, responses)] },
      policy: softmax(policy),
      other: softmax(other)
    }
  })
)

/** A generator's seed. */
export const SeedNumber = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 })))

export const close = (a: number, b: number, tolerance = 1e-9): boolean =>
  Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a), Math.abs(b))

/** Both orders of every pair of responses with these rewards, in one context; what Bradley-Terry prefers is told by a number. */
export const ordered = (rewards: ReadonlyArray<number>, name: "weight" | "preference"): ReadonlyArray<Pair> => {
  const answer = (response: number) => completionOf({ context: 0, tokens: [response], finish: "stop" })
  return rewards.flatMap((r, y) =>
    rewards.flatMap((other, z): ReadonlyArray<Pair> => {
      const numbers = { [name]: sigmoid(r - other) }
      return y === z
        ? []
        : [{ id: `${y}-${z}`, prompt: promptOf(0), chosen: answer(y), rejected: answer(z), margin: 0, numbers }]
    })
  )
}
