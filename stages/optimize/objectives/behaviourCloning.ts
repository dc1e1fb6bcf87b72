import { Schema } from "effect"
import { withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { meanLogProb, sumLogProb } from "../statistics.ts"

/** What a token mean runs over: `sequence`, each answer's own tokens, or `batch`, all tokens of the batch's answers. */
export const tokenMeanField = Schema.Literals(["sequence", "batch"]).pipe(withDefault("sequence"))

export type TokenMean = typeof tokenMeanField.Type

/**
 * The chosen answers' negative log-probability in nats a token.
 * **Details** `sequence`: the mean of the answers' own means, so that each answer counts the same. `batch`: the sum over all
 * tokens of the batch over their number, so that each token does; one value for all its items.
 */
export const behaviourCloning = (over: TokenMean): X.Expression =>
  X.neg(
    over === "sequence"
      ? meanLogProb("chosen")
      : X.div(X.batchMean(sumLogProb("chosen")), X.batchMean(X.length("chosen")))
  )
