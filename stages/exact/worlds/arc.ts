import { Schema } from "effect"
import { Count, withDefault } from "../../../dsl/Params.ts"
import { Worlds } from "../Worlds.ts"

/**
 * Responses on an arc in the plane of two rewards, so that each direction has a best response of its own: response `i` of `N`
 * at an angle of `-90 + 180 i / (N - 1)` degrees, its radius twice a uniform number in [0.7, 1).
 * **Details** Contexts are directions `v = (cos phi, sin phi)`: those of `angles` in degrees, then `directions` uniform ones
 * between -45 and 45. Rewards: 0 `v . r`, 1 and 2 the components of `r`. The reference is uniform; its family's logits are
 * linear in `(1, v)` or, not `conditioned`, the same in all directions.
 */
export const arc = Worlds.define("arc", {
  module: import.meta.url,
  description: "Responses on an arc, contexts that are directions",
  params: {
    responses: Count.pipe(withDefault(60)),
    angles: Schema.Array(Schema.Finite).pipe(withDefault([-45, -30, -15, 0, 15, 30, 45] as ReadonlyArray<number>)),
    directions: Count.pipe(withDefault(48)),
    conditioned: Schema.Boolean.pipe(withDefault(true))
  },
  make:
    ({ angles, conditioned, directions, responses }) =>
    (rng) => {
      const degrees = [
        ...angles,
        ...Array.from({ length: directions }, (_, i) => -45 + 90 * rng.fork("directions").uniform(i))
      ]
      const vectors = degrees.map((phi) => [Math.cos(radians(phi)), Math.sin(radians(phi))] as const)
      const radii = rng.fork("radii")
      const rewards = Array.from({ length: responses }, (_, i) => {
        const theta = radians(responses === 1 ? 0 : -90 + (180 * i) / (responses - 1))
        const radius = 2 * (0.7 + 0.3 * radii.uniform(i))
        return [radius * Math.cos(theta), radius * Math.sin(theta)] as const
      })
      const width = conditioned ? 3 : 1
      return {
        reference: {
          family: { kind: "conditional", responses, features: vectors.map((v) => (conditioned ? [1, ...v] : [1])) },
          theta: Array.from({ length: responses * width }, () => 0)
        },
        rewards: [
          vectors.map(([x, y]) => rewards.map(([r1, r2]) => x * r1 + y * r2)),
          vectors.map(() => rewards.map(([r1]) => r1)),
          vectors.map(() => rewards.map(([, r2]) => r2))
        ]
      }
    }
})

const radians = (degrees: number) => (degrees * Math.PI) / 180
