import { Schema } from "effect"
import { Count, Positive, withDefault } from "../../../dsl/Params.ts"
import { Worlds } from "../Worlds.ts"

/**
 * Responses on a line, `t` from -3 to 3, and a reward that saturates: `-(t - target)^2`. A policy is the reference tilted by
 * `theta t`, the reference a discretized normal distribution about `mean`. All know which way is up; a method whose loss goes
 * on falling beyond the best response overshoots it.
 */
export const saturating = Worlds.define("saturating", {
  module: import.meta.url,
  description: "A line of responses with a reward that saturates",
  params: {
    responses: Count.check(Schema.isGreaterThanOrEqualTo(2)).pipe(withDefault(41)),
    mean: Schema.Finite.pipe(withDefault(-1)),
    deviation: Positive.pipe(withDefault(1.2)),
    target: Schema.Finite.pipe(withDefault(1))
  },
  make:
    ({ deviation, mean, responses, target }) =>
    () => {
      const line = Array.from({ length: responses }, (_, y) => -3 + (6 * y) / (responses - 1))
      const base = line.map((t) => -((t - mean) ** 2) / (2 * deviation ** 2))
      return {
        reference: { family: { kind: "linear", base: [base], features: [line.map((t) => [t])] }, theta: [0] },
        rewards: [[line.map((t) => -((t - target) ** 2))]]
      }
    }
})
