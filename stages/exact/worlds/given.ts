import { Schema } from "effect"
import { Worlds } from "../Worlds.ts"

const Matrix = Schema.Array(Schema.Array(Schema.Finite))

/**
 * A bandit given in full: `reference[context][response]` are probabilities (they are normalized), `rewards` one matrix for
 * each objective, `preferences[context][y][z]` the probability that `y` is preferred to `z`.
 */
export const given = Worlds.define("given", {
  module: import.meta.url,
  description: "A bandit given in full",
  params: {
    reference: Matrix,
    rewards: Schema.optionalKey(Schema.Array(Matrix)),
    preferences: Schema.optionalKey(Schema.Array(Matrix))
  },
  make:
    ({ preferences, reference, rewards }) =>
    () => ({
      reference: {
        family: { kind: "softmax", contexts: reference.length, responses: reference[0]?.length ?? 0 },
        theta: reference.flat().map(Math.log)
      },
      ...(rewards === undefined ? {} : { rewards }),
      ...(preferences === undefined ? {} : { preferences })
    })
})
