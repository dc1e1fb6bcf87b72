import { Schema } from "effect"
import { Worlds } from "../Worlds.ts"

const Matrix = Schema.Array(Schema.Array(Schema.Finite))

/**
 * A bandit given in full whose policies are log-linear: `softmax(base[context] + features[context] . theta)`. `features` are
 * `[contexts][responses][parameters]`, `rewards` one matrix for each objective, `base` 0 unless told. The reference is `theta =
 * 0`: where `base` is 0 too, the uniform policy. Responses with common features rise and fall together, whether or not there
 * is data of them.
 */
export const logLinear = Worlds.define("log-linear", {
  module: import.meta.url,
  description: "A bandit of log-linear policies, given in full",
  params: {
    features: Schema.Array(Matrix),
    rewards: Schema.Array(Matrix),
    base: Schema.optionalKey(Matrix)
  },
  make:
    ({ base, features, rewards }) =>
    () => ({
      reference: {
        family: { kind: "linear", base: base ?? features.map((context) => context.map(() => 0)), features },
        theta: features[0]?.[0]?.map(() => 0) ?? []
      },
      rewards
    })
})
