import * as tf from "@tensorflow/tfjs"
import { Effect, Schema } from "effect"
import type { AdamW } from "./AdamW.ts"

/**
 * A micro-batch's contribution to a step. `loss` is the SUM over its items (pairs, rows or tokens), not their mean, and
 * `weight` how many items or how much weight that sum counts; the step's loss is the sum of the sums over the sum of the
 * weights, so cutting a batch into micro-batches changes nothing.
 */
export interface Contribution {
  readonly loss: tf.Scalar
  readonly weight: number
  /** Further sums to report, divided like the loss. */
  readonly metrics?: Readonly<Record<string, tf.Scalar>>
}

/** Sums a loss over one micro-batch, with tensor operations of the current model parameters. Synchronous. */
export type LossFunction<MicroBatch> = (microBatch: MicroBatch) => Contribution

export interface StepReport {
  readonly loss: number
  /** Global gradient norm before clipping. */
  readonly gradientNorm: number
  readonly learningRate: number
  readonly metrics: Readonly<Record<string, number>>
}

/** The loss or the gradient is not a finite number. The parameters and the optimizer are as before the step. */
export class TrainingDiverged extends Schema.TaggedError<TrainingDiverged>()("TrainingDiverged", {
  step: Schema.Int,
  loss: Schema.Number,
  gradientNorm: Schema.Number
}) {
  override get message() {
    return `training diverged at step ${this.step}: loss ${this.loss}, gradient norm ${this.gradientNorm}`
  }
}

/**
 * One optimizer step over the micro-batches: their summed gradients, divided by their summed weights.
 * **Details** Yields to the event loop before each micro-batch, so signals are seen and the step can be interrupted; an
 * interrupted step changes no parameter and leaves no tensor.
 */
export const step = <MicroBatch>(
  optimizer: AdamW,
  microBatches: ReadonlyArray<MicroBatch>,
  lossFunction: LossFunction<MicroBatch>
): Effect.Effect<StepReport, TrainingDiverged> =>
  Effect.suspend(() => {
    const sums: Sums = { loss: 0, weight: 0, metrics: new Map(), gradients: new Map() }
    return Effect.forEach(
      microBatches,
      (microBatch) =>
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => accumulate(sums, optimizer, lossFunction, microBatch))
        ),
      { discard: true }
    ).pipe(Effect.andThen(Effect.suspend(() => finish(sums, optimizer))))
  })

interface Sums {
  loss: number
  weight: number
  readonly metrics: Map<string, number>
  readonly gradients: Map<string, Float32Array>
}

const accumulate = <MicroBatch>(
  sums: Sums,
  { parameters }: AdamW,
  lossFunction: LossFunction<MicroBatch>,
  microBatch: MicroBatch
): void =>
  tf.tidy(() => {
    const { grads, value } = tf.variableGrads(() => {
      const { loss, metrics = {}, weight } = lossFunction(microBatch)
      sums.weight += weight
      for (const [name, metric] of Object.entries(metrics))
        sums.metrics.set(name, (sums.metrics.get(name) ?? 0) + metric.dataSync()[0]!)
      return loss
    }, [...parameters.values()])
    sums.loss += value.dataSync()[0]!
    for (const [name, parameter] of parameters) add(sums.gradients, name, grads[parameter.name], parameter.size)
  })

/** Adds a gradient into the sum; a parameter that the loss does not reach has gradient zero. */
const add = (sums: Map<string, Float32Array>, name: string, gradient: tf.Tensor | undefined, size: number): void => {
  const values = gradient ? gradient.dataSync<"float32">() : new Float32Array(size)
  const sum = sums.get(name)
  if (!sum) sums.set(name, values)
  else for (let i = 0; i < sum.length; i++) sum[i]! += values[i]!
}

const finish = (sums: Sums, optimizer: AdamW): Effect.Effect<StepReport, TrainingDiverged> => {
  if (!(sums.weight > 0)) return Effect.die(new RangeError(`the weights of a step sum to ${sums.weight}`))
  const loss = sums.loss / sums.weight
  const report = Number.isFinite(loss)
    ? optimizer.update(sums.gradients, sums.weight)
    : { applied: false, gradientNorm: Number.NaN, learningRate: 0 }
  if (!report.applied)
    return Effect.fail(new TrainingDiverged({ step: optimizer.state().step, loss, gradientNorm: report.gradientNorm }))
  const metrics = Object.fromEntries([...sums.metrics].map(([name, sum]) => [name, sum / sums.weight]))
  return Effect.succeed({ loss, gradientNorm: report.gradientNorm, learningRate: report.learningRate, metrics })
}
