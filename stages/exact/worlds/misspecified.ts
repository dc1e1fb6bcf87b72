import { Count, NonNegative, withDefault } from "../../../dsl/Params.ts"
import { dot, norm } from "../../../runtime/exact/numbers.ts"
import { normalMatrix, normalVector } from "../../../runtime/exact/random.ts"
import { Worlds } from "../Worlds.ts"

/**
 * One context whose policies are tilts of the reference by linear functions of `features` standard normal features, so that
 * they cannot reach the optimum and it matters which responses are compared.
 * **Details** With `z = x . w` and `u` of length 1 across `w`, the reward is `z + tanh(2 (z - 0.7)) (x . u)`, standardized: its
 * slope along `u` turns over between the responses that the reference prefers and those of high reward. Rewards: 0 that one; 1 a
 * learned one, which has normal errors of deviation `rewardNoise`; 2 `z`. The reference's logits are normal with deviation 0.3.
 */
export const misspecified = Worlds.define("misspecified", {
  module: import.meta.url,
  description: "A bandit whose policies cannot reach the optimum",
  params: {
    responses: Count.pipe(withDefault(400)),
    features: Count.pipe(withDefault(5)),
    rewardNoise: NonNegative.pipe(withDefault(0.3))
  },
  make:
    ({ features, responses, rewardNoise }) =>
    (rng) => {
      const x = normalMatrix(responses, features, rng.fork("features"))
      const w = unit(normalVector(features, rng.fork("along")))
      const raw = normalVector(features, rng.fork("across"))
      const share = dot(raw, w)
      const u = unit(raw.map((value, i) => value - share * w[i]!))
      const z = x.map((row) => dot(row, w))
      const gold = standardized(x.map((row, y) => z[y]! + Math.tanh(2 * (z[y]! - 0.7)) * dot(row, u)))
      const errors = normalVector(responses, rng.fork("errors"), rewardNoise)
      return {
        reference: {
          family: { kind: "linear", base: [[...normalVector(responses, rng.fork("reference"), 0.3)]], features: [x] },
          theta: Array.from({ length: features }, () => 0)
        },
        rewards: [[gold], [gold.map((r, y) => r + errors[y]!)], [z]]
      }
    }
})

/** The vector at length 1; as it is where there is none across the other. */
const unit = (vector: Float64Array): Float64Array => {
  const length = norm(vector)
  return length < 1e-12 ? vector : vector.map((value) => value / length)
}

const standardized = (values: ReadonlyArray<number>): ReadonlyArray<number> => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)
  return values.map((value) => (deviation === 0 ? 0 : (value - mean) / deviation))
}
