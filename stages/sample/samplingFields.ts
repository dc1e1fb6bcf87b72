import { Schema } from "effect"
import { Count, NonNegative, Probability, withDefault } from "../../dsl/Params.ts"

/** How completions are drawn; see `runtime/models/sampling.ts` for the exact meaning. */
export const samplingFields = {
  /** Most tokens of an answer. */
  maxTokens: Count.pipe(withDefault(24)),
  /** Divides the logits; 0 is greedy. */
  temperature: NonNegative.pipe(withDefault(1)),
  topK: Schema.optionalKey(Count),
  topP: Schema.optionalKey(Probability.check(Schema.isGreaterThan(0)))
}
