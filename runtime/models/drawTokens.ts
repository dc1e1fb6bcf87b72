import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import { call, hasKernel } from "../tensor/operations.ts"
import { computed, readAll } from "../tensor/read.ts"
import { draw, logSumExp, type Sampling } from "./sampling.ts"

/** One token per row, and its log-probability in nats under the model itself, at temperature 1 with nothing cut off. */
export interface Drawn {
  readonly tokens: ArrayLike<number>
  readonly logProbs: ArrayLike<number>
}

/**
 * Draws a token from each row of logits `[rows, vocabulary]`, row `r` at `uniforms[r]`; see `draw`.
 * **Details** Devices with a kernel for it draw from the whole distribution there, so that no logits travel; `topK` and
 * `topP` are done on the host. Leaves no tensor behind.
 */
export const drawTokens = (
  logitsOf: () => tf.Tensor2D,
  sampling: Sampling,
  uniforms: Float64Array
): Effect.Effect<Drawn> => {
  const { temperature, topK, topP } = sampling
  if (topK !== undefined || topP !== undefined || !hasKernel("Draw")) return onHost(logitsOf, sampling, uniforms)
  return Effect.acquireUseRelease(
    Effect.sync(() => tf.tidy(() => [...call("Draw", { logits: logitsOf() }, { temperature, uniforms })])),
    (drawn) => Effect.map(readAll(drawn), ([tokens, logProbs]) => ({ tokens: tokens!, logProbs: logProbs! })),
    (drawn) => Effect.sync(() => tf.dispose(drawn))
  )
}

const onHost = (logitsOf: () => tf.Tensor2D, sampling: Sampling, uniforms: Float64Array): Effect.Effect<Drawn> =>
  Effect.map(computed(logitsOf), (logits) => {
    const vocabulary = logits.length / uniforms.length
    const rows = Array.from(uniforms, (_, row) => logits.subarray(row * vocabulary, (row + 1) * vocabulary))
    const tokens = rows.map((row, i) => draw(row, sampling, uniforms[i]!))
    return { tokens, logProbs: rows.map((row, i) => row[tokens[i]!]! - logSumExp(row)) }
  })
