import { Count, NonNegative, withDefault } from "../../../dsl/Params.ts"
import { normalMatrix, normalVector } from "../../../runtime/exact/random.ts"
import { Worlds } from "../Worlds.ts"

/** A contextual bandit with independent standard normal rewards and a reference whose logits are normal. */
export const normalBandit = Worlds.define("normal-bandit", {
  module: import.meta.url,
  description: "A contextual bandit with normal rewards and normal logits",
  params: {
    contexts: Count.pipe(withDefault(6)),
    responses: Count.pipe(withDefault(20)),
    /** Standard deviation of the reference's logits. */
    deviation: NonNegative.pipe(withDefault(1))
  },
  make:
    ({ contexts, deviation, responses }) =>
    (rng) => ({
      reference: {
        family: { kind: "softmax", contexts, responses },
        theta: [...normalVector(contexts * responses, rng.fork("reference"), deviation)]
      },
      rewards: [normalMatrix(contexts, responses, rng.fork("rewards"))]
    })
})
