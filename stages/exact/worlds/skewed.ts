import { Count, Positive, withDefault } from "../../../dsl/Params.ts"
import { preferencesOfScores, skewScores } from "../../../runtime/exact/random.ts"
import { Worlds } from "../Worlds.ts"

/**
 * Games drawn at random, one a context: preferences whose log-odds are `deviation (A - A^T)` with standard normal `A`, as a
 * rule intransitive, and a uniform reference.
 */
export const skewed = Worlds.define("skewed", {
  module: import.meta.url,
  description: "Preferences with normal skew-symmetric log-odds",
  params: {
    contexts: Count.pipe(withDefault(20)),
    responses: Count.pipe(withDefault(8)),
    deviation: Positive.pipe(withDefault(1))
  },
  make:
    ({ contexts, deviation, responses }) =>
    (rng) => ({
      reference: {
        family: { kind: "softmax", contexts, responses },
        theta: Array.from({ length: contexts * responses }, () => 0)
      },
      preferences: Array.from({ length: contexts }, (_, context) =>
        preferencesOfScores(skewScores(responses, rng.fork(context)).map((row) => row.map((s) => deviation * s)))
      )
    })
})
