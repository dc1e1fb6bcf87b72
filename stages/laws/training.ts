/** Laws of what trains a policy, whatever it minimizes. */
import type * as Law from "../../dsl/Law.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { sameWeights, weightDistance } from "./laws.ts"

/** Adam moves a parameter by at most this much of the learning rate a step: `(1 - 0.9) / sqrt(1 - 0.999)`. */
const STRIDE = 3.17

const RATE = 1e-3

export const training: ReadonlyArray<Law.Law> = [
  StageLaw.output(
    "changes weights alone, and those by at most a stride a step",
    (made, { inputs: { from }, params }) => {
      const distance = weightDistance(made, from)
      if (!(distance > 0 && distance <= STRIDE * RATE * params.steps + 1e-6)) return `it moved by ${distance}`
      return StageLaw.near([made.config, made.tokenizer], [from.config, from.tokenizer], 0)
    }
  ),
  StageLaw.related(
    "how much is passed at a time changes rounding alone",
    (call) => StageLaw.withParams(call, { microBatchSize: 1 }),
    (made, other) => sameWeights(made, other, 2e-4)
  ),
  StageLaw.related(
    "what is logged and kept on the way changes no weight",
    (call) => StageLaw.withParams(call, { saveEvery: 50, logEvery: 1 }),
    (made, other, { params }) => {
      if (other.trainerState.log_history.length !== params.steps) return "not every step is logged"
      return sameWeights(made, other)
    }
  ),
  StageLaw.output("logs its steps, with finite numbers", ({ trainerState }, { params }) => {
    const last = trainerState.log_history.at(-1)
    if (!Object.values(last).every(Number.isFinite)) return JSON.stringify(last)
    return StageLaw.near([trainerState.global_step, last.step], [params.steps, params.steps], 0)
  })
]

/** Few steps; a step reads two items. */
export const short: object = { steps: 2, batchSize: 2, saveEvery: 1, warmupSteps: 0, learningRate: RATE }
