import { Arbitrary, Schema } from "effect"
import * as Law from "../../../dsl/Law.ts"
import { Count, NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import * as Rng from "../../../dsl/Rng.ts"
import { policyOf } from "../../../runtime/exact/families.ts"
import { normalMatrix } from "../../../runtime/exact/random.ts"
import { type MakeWorld, Worlds } from "../Worlds.ts"

interface Options {
  readonly contexts: number
  readonly responses: number
  readonly noise: number
  readonly strength: number
}

const make =
  ({ contexts, noise, responses, strength }: Options): MakeWorld =>
  (rng) => {
    const rewards = normalMatrix(contexts, responses, rng.fork("rewards"))
    const errors = normalMatrix(contexts, responses, rng.fork("noise"), noise)
    return {
      reference: {
        family: { kind: "softmax", contexts, responses },
        theta: rewards.flatMap((row, c) => row.map((r, y) => errors[c]![y]! - strength * r))
      },
      rewards: [rewards]
    }
  }

const laws: ReadonlyArray<Law.Law> = [
  Law.make(
    "without noise the worse of two answers is the likelier one",
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 }))),
    (seed) => {
      const world = make({ contexts: 1, responses: 5, noise: 0, strength: 1 })(Rng.make(seed, "world"))
      const logProbs = policyOf(world.reference).process.logProbs(0, 0, 0)
      const reward = world.rewards![0]![0]!
      return reward.every((r, y) => reward.every((other, z) => r <= other || logProbs[y]! < logProbs[z]!))
    }
  )
]

/**
 * A bandit with standard normal rewards whose reference prefers what is worse: its log-probabilities are `-strength` times
 * the reward and normal `noise`. What is best has to be discovered.
 */
export const misaligned = Worlds.define("misaligned", {
  module: import.meta.url,
  description: "A bandit whose reference prefers low rewards",
  params: {
    contexts: Count.pipe(withDefault(1)),
    responses: Count.pipe(withDefault(20)),
    noise: NonNegative.pipe(withDefault(0.3)),
    strength: Positive.pipe(withDefault(1))
  },
  make,
  laws
})
