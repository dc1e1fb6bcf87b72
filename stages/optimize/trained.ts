import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import { type Llama, toWeights } from "../../runtime/models/Llama.ts"
import type { LogEntry } from "./loop.ts"

/** The checkpoint after a training: new weights, and the log as Hugging Face's trainer writes it. */
export const trained = (from: Checkpoint, model: Llama, steps: number, log: ReadonlyArray<LogEntry>): Checkpoint => ({
  ...from,
  weights: toWeights(model),
  trainerState: { global_step: steps, max_steps: steps, log_history: log }
})
