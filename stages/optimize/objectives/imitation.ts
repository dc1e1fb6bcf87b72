import { Schema } from "effect"
import { withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { defineReferenceFree } from "../Objective.ts"
import { meanLogProb } from "../statistics.ts"

/**
 * Supervised learning of several answers of an item at once, each to its own prompt: `sft` is that of the chosen one alone.
 * **Details** `loss = -mean over the named answers of ln policy(y) / |y|`, in nats a token. A name is `chosen`, `rejected` or one
 * of the item's further answers.
 */
export const imitation = defineReferenceFree("imitation", {
  module: import.meta.url,
  description: "Negative log-likelihood of the named answers of an item",
  params: {
    answers: Schema.NonEmptyArray(Schema.NonEmptyString).pipe(
      withDefault(["chosen", "rejected"] as readonly [string, ...Array<string>])
    )
  },
  make: ({ answers }) => ({ reward: meanLogProb, loss: X.neg(X.mean(answers.map(meanLogProb))) })
})
