/** The training loop that every method shares. It knows no method's name. */
import { Effect, Option, Schema } from "effect"
import { Count, Index, NonNegative, Positive, withDefault } from "../../dsl/Params.ts"
import type { Partial } from "../../dsl/Partial.ts"
import * as Progress from "../../dsl/Progress.ts"
import type * as Rng from "../../dsl/Rng.ts"
import type { Llama } from "../../runtime/models/Llama.ts"
import * as AdamW from "../../runtime/tensor/AdamW.ts"
import { warmupCosine } from "../../runtime/tensor/schedule.ts"
import { type LossFunction, step, TrainingDiverged } from "../../runtime/tensor/train.ts"
import * as TrainingState from "./trainingState.ts"

/** Hyper-parameters of a training. Items are pairs, or texts. */
export const trainingFields = {
  /** Optimizer steps. */
  steps: Count,
  /** Items per optimizer step. */
  batchSize: Count.pipe(withDefault(16)),
  /** Items per forward pass; gradients accumulate over a step's passes. The result does not depend on it but for rounding. */
  microBatchSize: Schema.optionalKey(Count),
  /** Peak of the schedule: a straight warm-up, then half a cosine down to `finalLearningRate` times the peak. */
  learningRate: Positive.pipe(withDefault(1e-3)),
  finalLearningRate: NonNegative.pipe(withDefault(0.1)),
  warmupSteps: Index.pipe(withDefault(10)),
  weightDecay: NonNegative.pipe(withDefault(0)),
  /** Largest global gradient norm. */
  maxGradientNorm: Positive.pipe(withDefault(1)),
  /** A log entry is the mean over this many steps. */
  logEvery: Count.pipe(withDefault(10)),
  /** How often an interruptible state is kept. It changes no result. */
  saveEvery: Count.pipe(withDefault(50))
}

export interface TrainingParams {
  readonly steps: number
  readonly batchSize: number
  readonly microBatchSize?: number
  readonly learningRate: number
  readonly finalLearningRate: number
  readonly warmupSteps: number
  readonly weightDecay: number
  readonly maxGradientNorm: number
  readonly logEvery: number
  readonly saveEvery: number
}

/** There is nothing to train on. */
export class NothingToTrainOn extends Schema.TaggedError<NothingToTrainOn>()("NothingToTrainOn", {
  stage: Schema.String,
  items: Schema.String
}) {
  override get message() {
    return `${this.stage} was given no ${this.items}`
  }
}

/** One entry of a training's log, under the names of Hugging Face's `log_history` and TRL's metrics. */
export type LogEntry = Readonly<Record<string, number>>

/** What is measured on the way: before the first step, every so many, and after the last. It must change nothing. */
export interface Watch<E, R> {
  readonly every: number
  readonly measure: Effect.Effect<LogEntry, E, R>
}

/** Numbers that a loss carries from step to step, by name. */
export type LossState = Readonly<Record<string, number>>

/** The loss function of a step's micro-batches, once what it needs to know of all of them is known. */
export type Losses<Item> = (
  microBatches: ReadonlyArray<ReadonlyArray<Item>>,
  state: LossState
) => Effect.Effect<{ readonly lossOf: LossFunction<ReadonlyArray<Item>>; readonly state: LossState }>

/** A loss that items have each for themselves. */
export const separable =
  <Item>(lossOf: LossFunction<ReadonlyArray<Item>>): Losses<Item> =>
  (_, state) =>
    Effect.succeed({ lossOf, state })

/**
 * Trains the model in place and returns its log. The order of the items is a fresh permutation for each pass over them,
 * drawn from `rng`: it depends on the seed, the stream, and nothing else. What `watch` measures has entries of its own in
 * the log, as evaluations have in that of Hugging Face's trainer. Goes on from saved partial state, if there is some, and
 * then ends with the bits of an undisturbed training. Fails with `TrainingDiverged` where a step is not of finite numbers, or
 * the parameters are not in the end or where it is to be watched.
 */
export const train = Effect.fn("train")(function* <Item, E = never, R = never>(options: {
  readonly model: Llama
  readonly items: ReadonlyArray<Item>
  readonly params: TrainingParams
  readonly rng: Rng.Rng
  readonly partial: Partial
  readonly losses: Losses<Item>
  readonly watch?: Watch<E, R> | undefined
}) {
  const { items, model, params, partial, rng, watch } = options
  const optimizer = yield* AdamW.make(model.parameters, {
    learningRate: warmupCosine({
      warmup: params.warmupSteps,
      total: params.steps,
      peak: params.learningRate,
      floor: params.finalLearningRate * params.learningRate
    }),
    weightDecay: params.weightDecay,
    maxGradientNorm: params.maxGradientNorm
  })
  const saved = Option.flatMap(yield* partial.load, (bytes) => TrainingState.decode(bytes, model))
  const log: Array<LogEntry> = []
  let window: ReadonlyArray<LogEntry> = []
  let state: LossState = {}
  if (Option.isSome(saved)) {
    yield* TrainingState.restore(saved.value, model, optimizer)
    log.push(...saved.value.log)
    window = saved.value.window
    state = saved.value.state
  }
  let seen: LogEntry = {}
  const look = Effect.fnUntraced(function* ({ measure }: Watch<E, R>, step: number) {
    seen = yield* measure
    log.push({ step, ...seen })
  })
  if (watch !== undefined && optimizer.step() === 0) yield* look(watch, 0)
  const order = itemOrder(rng, items.length)
  for (let at = optimizer.step(); at < params.steps; at++) {
    const batch = Array.from({ length: params.batchSize }, (_, i) => items[order(at * params.batchSize + i)]!)
    const parts = microBatches(batch, params.microBatchSize ?? params.batchSize)
    const prepared = yield* options.losses(parts, state)
    const report = yield* step(optimizer, parts, prepared.lossOf)
    state = prepared.state
    const { gradientNorm, learningRate, loss, metrics } = report
    window = [...window, { loss, grad_norm: gradientNorm, learning_rate: learningRate, ...metrics }]
    const done = at + 1
    const looks = watch !== undefined && (done % watch.every === 0 || done === params.steps)
    if (looks || done === params.steps) {
      // No loss has told yet what the last update did.
      const norm = yield* AdamW.globalNorm([...model.parameters.values()])
      const further = `parameter norm ${norm}`
      if (!Number.isFinite(norm)) return yield* new TrainingDiverged({ step: done, loss, gradientNorm, further })
    }
    if (done % params.logEvery === 0 || done === params.steps) {
      log.push({ step: done, ...meanOf(window) })
      window = []
    }
    if (looks) yield* look(watch, done)
    if (done % params.saveEvery === 0 && done < params.steps) {
      yield* partial.save(yield* TrainingState.encode(model, optimizer, { log, window, state }))
    }
    const shown = { loss, learning_rate: learningRate, ...metrics, ...seen }
    yield* Progress.report({ done, total: params.steps, unit: "steps", metrics: shown })
  }
  return log as ReadonlyArray<LogEntry>
})

/** Position in the training -> item: pass after pass, each in an order of its own. */
const itemOrder = (rng: Rng.Rng, count: number) => {
  const orders = rng.fork("order")
  let pass = -1
  let permutation = new Uint32Array(0)
  return (position: number) => {
    const wanted = Math.floor(position / count)
    if (wanted !== pass) {
      pass = wanted
      permutation = orders.permutation(pass, count) as Uint32Array<ArrayBuffer>
    }
    return permutation[position % count]!
  }
}

const microBatches = <Item>(batch: ReadonlyArray<Item>, size: number): ReadonlyArray<ReadonlyArray<Item>> =>
  Array.from({ length: Math.ceil(batch.length / size) }, (_, i) => batch.slice(i * size, (i + 1) * size))

const meanOf = (entries: ReadonlyArray<LogEntry>): LogEntry =>
  Object.fromEntries(
    Object.keys(entries[0]!).map((name) => [
      name,
      entries.reduce((sum, entry) => sum + entry[name]!, 0) / entries.length
    ])
  )
