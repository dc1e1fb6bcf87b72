/** A linear head on the last token's hidden state, beside the language model: reward models, preference embeddings. */
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import type * as Rng from "../../dsl/Rng.ts"
import { HEAD } from "./LlamaConfig.ts"

/**
 * The checkpoint with a head of this many outputs: its own if it has one of that shape, else a fresh one, each entry normal
 * with the given deviation. Without a head for 0 outputs.
 */
export const withHead = (checkpoint: Checkpoint, outputs: number, deviation: number, rng: Rng.Rng): Checkpoint => {
  const weights = new Map(checkpoint.weights)
  const existing = weights.get(HEAD)
  if (outputs === 0) weights.delete(HEAD)
  else if (existing?.shape[0] !== outputs) {
    const hidden = Number(checkpoint.config["hidden_size"])
    const draw = (_: unknown, i: number) => (deviation === 0 ? 0 : deviation * rng.normal(i))
    weights.set(HEAD, { shape: [outputs, hidden], data: Float32Array.from({ length: outputs * hidden }, draw) })
  }
  return { ...checkpoint, weights }
}
