import * as tf from "@tensorflow/tfjs"
import { Effect, Schema } from "effect"
import type { AdamW } from "./AdamW.ts"
import { read } from "./read.ts"

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

/** A training has left the finite numbers: by its loss, by its gradient, or by what `further` names. */
export class TrainingDiverged extends Schema.TaggedError<TrainingDiverged>()("TrainingDiverged", {
  step: Schema.Int,
  loss: Schema.Number,
  gradientNorm: Schema.Number,
  further: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const numbers = [`loss ${this.loss}`, `gradient norm ${this.gradientNorm}`, ...(this.further ? [this.further] : [])]
    return `training diverged at step ${this.step}: ${numbers.join(", ")}`
  }
}

/**
 * One optimizer step over the micro-batches: their summed gradients, divided by their summed weights.
 * **Details** Yields to the event loop before each micro-batch, so signals are seen and the step can be interrupted; an
 * interrupted step changes no parameter and leaves no tensor. Fails with `TrainingDiverged` where the loss, a metric or the
 * gradient is not a finite number; the parameters and the optimizer are then as before the step.
 */
export const step = <MicroBatch>(
  optimizer: AdamW,
  microBatches: ReadonlyArray<MicroBatch>,
  lossFunction: LossFunction<MicroBatch>
): Effect.Effect<StepReport, TrainingDiverged> =>
  Effect.acquireUseRelease(
    Effect.sync((): Sums => ({ weight: 0, names: [], reported: undefined, gradients: new Map() })),
    (sums) =>
      Effect.gen(function* () {
        for (const microBatch of microBatches) {
          yield* Effect.yieldNow
          accumulate(sums, optimizer, lossFunction, microBatch)
        }
        return yield* finish(sums, optimizer)
      }),
    (sums) => Effect.sync(() => tf.dispose([...sums.gradients.values(), ...(sums.reported ? [sums.reported] : [])]))
  )

/** What the micro-batches so far come to, on the device: it is read once, at the end. */
interface Sums {
  weight: number
  /** Names of the metrics, in the order of `reported`. */
  names: ReadonlyArray<string>
  /** The loss, then the metrics: `[1 + metrics]`. */
  reported: tf.Tensor1D | undefined
  readonly gradients: Map<string, tf.Tensor>
}

const accumulate = <MicroBatch>(
  sums: Sums,
  { parameters }: AdamW,
  lossFunction: LossFunction<MicroBatch>,
  microBatch: MicroBatch
): void =>
  tf.tidy(() => {
    let metrics: Readonly<Record<string, tf.Scalar>> = {}
    try {
      const { grads, value } = tf.variableGrads(() => {
        const contribution = lossFunction(microBatch)
        metrics = contribution.metrics ?? {}
        for (const metric of Object.values(metrics)) tf.keep(metric)
        sums.weight += contribution.weight
        return contribution.loss
      }, [...parameters.values()])
      sums.names = Object.keys(metrics)
      const scalars = [value, ...Object.values(metrics)]
      sums.reported = added(sums.reported, tf.stack(scalars.map((x) => tf.reshape(x, []))) as tf.Tensor1D)
      for (const [name, parameter] of parameters) {
        const gradient = grads[parameter.name]
        if (gradient) sums.gradients.set(name, added(sums.gradients.get(name), gradient))
      }
    } finally {
      tf.dispose(Object.values(metrics))
    }
  })

/** A sum that outlives the `tidy` around it; the sum before it is disposed. */
const added = <T extends tf.Tensor>(sum: T | undefined, next: T): T => {
  const total = tf.keep(sum === undefined ? tf.clone(next) : tf.add<T>(sum, next))
  sum?.dispose()
  return total
}

const finish = Effect.fnUntraced(function* ({ gradients, names, reported, weight }: Sums, optimizer: AdamW) {
  if (!(weight > 0)) return yield* Effect.die(new RangeError(`the weights of a step sum to ${weight}`))
  const [loss, ...metrics] = Array.from(yield* read(reported!), (sum) => sum / weight) as [number, ...Array<number>]
  const wrong = names.findIndex((_, i) => !Number.isFinite(metrics[i]))
  const update =
    Number.isFinite(loss) && wrong < 0
      ? yield* optimizer.update(gradients, weight)
      : { applied: false, gradientNorm: Number.NaN, learningRate: 0 }
  const { applied, gradientNorm, learningRate } = update
  if (!applied) {
    const further = wrong < 0 ? {} : { further: `${names[wrong]} ${metrics[wrong]}` }
    return yield* new TrainingDiverged({ step: optimizer.step(), loss, gradientNorm, ...further })
  }
  const report: StepReport = {
    loss,
    gradientNorm,
    learningRate,
    metrics: Object.fromEntries(names.map((name, i) => [name, metrics[i]!]))
  }
  return report
})
