import { Schema } from "effect"
import { Count, NonNegative, Positive, withDefault } from "../../../dsl/Params.ts"
import { dirichletLogits, normalMatrix, uniformPreferences } from "../../../runtime/exact/random.ts"
import { Worlds } from "../Worlds.ts"

/**
 * A contextual bandit drawn at random: standard normal rewards, for `objectives` of them, and a reference from the symmetric
 * Dirichlet distribution, or uniform for `concentration: 0`. `preferences: "general"` adds preference matrices whose pairs are
 * independent and uniform, as a rule intransitive; otherwise preferences are Bradley-Terry's of the first reward.
 */
export const bandit = Worlds.define("bandit", {
  module: import.meta.url,
  description: "A contextual bandit with normal rewards",
  params: {
    contexts: Count.pipe(withDefault(4)),
    responses: Count.pipe(withDefault(8)),
    objectives: Count.pipe(withDefault(1)),
    concentration: NonNegative.pipe(withDefault(2)),
    rewardDeviation: Positive.pipe(withDefault(1)),
    preferences: Schema.Literals(["bradley-terry", "general"]).pipe(withDefault("bradley-terry"))
  },
  make:
    ({ concentration, contexts, objectives, preferences, responses, rewardDeviation }) =>
    (rng) => ({
      reference: {
        family: { kind: "softmax", contexts, responses },
        theta:
          concentration === 0
            ? Array.from({ length: contexts * responses }, () => 0)
            : [...dirichletLogits(contexts, responses, concentration, rng.fork("reference"))]
      },
      rewards: Array.from({ length: objectives }, (_, k) =>
        normalMatrix(contexts, responses, rng.fork("rewards").fork(k), rewardDeviation)
      ),
      ...(preferences === "bradley-terry"
        ? {}
        : {
            preferences: Array.from({ length: contexts }, (_, c) =>
              uniformPreferences(responses, rng.fork("preferences").fork(c))
            )
          })
    })
})
