import { defineReferenceFree } from "../Objective.ts"
import { meanLogProb, negativeLogLikelihood } from "../statistics.ts"
import { normalizationField } from "./fields.ts"

/**
 * Supervised fine-tuning on the chosen answers; the rejected ones are not read.
 * **Details** `loss = -ln policy(y_w) / |y_w|`, in nats a token. `normalization: "tokenMean"` divides by the tokens of the whole batch,
 * as TRL's `loss_type="sft"` does.
 */
export const sft = defineReferenceFree("sft", {
  module: import.meta.url,
  description: "Negative log-likelihood of the chosen answers",
  params: { normalization: normalizationField("sequenceMean") },
  make: ({ normalization }) => ({ reward: meanLogProb, loss: negativeLogLikelihood(normalization)("chosen") })
})
