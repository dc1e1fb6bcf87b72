import { Schema } from "effect"
import { NonNegative, withDefault } from "../../../dsl/Params.ts"
import { plus } from "../links.ts"
import { Objective, objective } from "../Objective.ts"
import { negativeLogLikelihood } from "../statistics.ts"
import { normalizationField } from "./fields.ts"

/**
 * Any objective, and supervised learning of one of the answers beside it.
 * **Details** `loss = objective + weight (-ln policy(y))`, normalized as told, of the answer that `role` names: the chosen one
 * unless told. At `weight` 0 it is the objective.
 */
export const withSft = Objective.define("with-sft", {
  module: import.meta.url,
  description: "An objective with a supervised term",
  params: {
    objective: Objective.schema,
    weight: NonNegative.pipe(withDefault(0.1)),
    normalization: normalizationField("sequenceMean"),
    role: Schema.NonEmptyString.pipe(withDefault("chosen"))
  },
  make: ({ normalization, objective: { implementation: base }, role, weight }) =>
    objective({ reward: base.reward, loss: plus(base.loss, weight, negativeLogLikelihood(normalization)(role)) })
})
