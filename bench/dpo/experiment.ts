/** A checkpoint folder and a file of pairs in, a policy out: what TRL's DPO trainer does in `bench/python/dpo.py`. */
import { Schema } from "effect"
import { Count, Positive } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { dpo, load, optimize } from "../../stages/index.ts"

/** The random stream that orders the pairs; the bench orders TRL's file by it. */
export const STREAM = "pairs"

export default Pipeline.make(
  "bench-dpo",
  {
    description: "DPO from a checkpoint folder on a file of pairs, at a constant learning rate",
    params: {
      checkpoint: Schema.NonEmptyString,
      pairs: Schema.NonEmptyString,
      steps: Count,
      batchSize: Count,
      beta: Positive,
      learningRate: Positive,
      logEvery: Count
    }
  },
  ({ batchSize, beta, checkpoint, learningRate, logEvery, pairs, steps }) => {
    const from = load.checkpoint({ path: checkpoint, as: "from" })
    const policy = load.pairs({ path: pairs, format: "trl", as: "pairs" }).pipe(
      optimize({
        objective: dpo({ beta }),
        from,
        reference: from,
        steps,
        batchSize,
        learningRate,
        logEvery,
        finalLearningRate: 1,
        warmupSteps: 0,
        stream: STREAM,
        as: "policy"
      })
    )
    return { policy }
  }
)
