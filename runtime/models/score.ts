import { Effect } from "effect"
import { computed } from "../tensor/read.ts"
import * as Batch from "./Batch.ts"
import { tokenLogProbs } from "./forward.ts"
import { type Llama, ModelDiverged } from "./Llama.ts"

/**
 * Log-probabilities of each row's completion tokens, in nats, one array per row in the order of the rows.
 * **Details** Rows are batched by length, longest first, `batchSize` at a time (32 by default); which rows share a batch
 * changes nothing. Yields to the event loop before each batch.
 */
export const scoreCompletions = Effect.fn("Llama.scoreCompletions")(function* (
  model: Llama,
  rows: ReadonlyArray<Batch.Row>,
  options: { readonly batchSize?: number } = {}
): Effect.fn.Return<ReadonlyArray<Float32Array>, Batch.TokensInvalid | ModelDiverged> {
  yield* Batch.validate(rows, model.config)
  const { batchSize = 32 } = options
  const length = (row: number) => rows[row]!.prompt.length + rows[row]!.completion.length
  const order = Array.from(rows.keys()).sort((a, b) => length(b) - length(a) || a - b)
  const scores = new Array<Float32Array>(rows.length)
  for (let start = 0; start < order.length; start += batchSize) {
    yield* Effect.yieldNow
    const chosen = order.slice(start, start + batchSize)
    const batch = Batch.make(chosen.map((row) => rows[row]!))
    const values = yield* computed(() => tokenLogProbs(model, batch))
    for (const [b, row] of chosen.entries()) {
      const from = b * (batch.columns - 1) + rows[row]!.prompt.length - 1
      const score = values.slice(from, from + rows[row]!.completion.length)
      const token = score.findIndex((value) => !Number.isFinite(value))
      if (token >= 0) return yield* new ModelDiverged({ row, token })
      scores[row] = score
    }
  }
  return scores
})
