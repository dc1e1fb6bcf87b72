import { Effect } from "effect"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import { type Llama, toWeights } from "../../runtime/models/Llama.ts"
import type { LogEntry } from "./loop.ts"

/**
 * The checkpoint after a training: new weights, and the log as Hugging Face's trainer writes it. Where the configuration
 * names a precision it becomes that of the weights, else `transformers` would round them to the old one when it loads.
 */
export const trained = (
  from: Checkpoint,
  model: Llama,
  steps: number,
  log: ReadonlyArray<LogEntry>
): Effect.Effect<Checkpoint> =>
  Effect.map(toWeights(model), (weights) => ({
    ...from,
    config: Object.fromEntries(
      Object.entries(from.config).map(([name, value]) => [name, PRECISION.has(name) ? "float32" : value])
    ),
    weights,
    trainerState: { global_step: steps, max_steps: steps, log_history: log }
  }))

/** What `transformers` 4 and 5 call it. */
const PRECISION: ReadonlySet<string> = new Set(["torch_dtype", "dtype"])
