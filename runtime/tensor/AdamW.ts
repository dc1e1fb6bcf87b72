import * as tf from "@tensorflow/tfjs"
import { Effect, Schema, type Scope } from "effect"
import { call, hasKernel } from "./operations.ts"
import { read, readAll } from "./read.ts"
import { constant, type Schedule } from "./schedule.ts"

/** The optimizer's own memory, as plain data: enough to go on exactly as if it had never stopped. */
export interface State {
  /** Updates done so far. */
  readonly step: number
  /** Running means of the gradient and of its square, by parameter name. */
  readonly moments: ReadonlyMap<string, { readonly first: Float32Array; readonly second: Float32Array }>
}

/** A restored state speaks of other parameters than the optimizer's. */
export class StateMismatch extends Schema.TaggedError<StateMismatch>()("StateMismatch", {
  parameter: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `optimizer state does not fit the model: ${this.parameter} ${this.reason}`
  }
}

export interface Options {
  readonly learningRate: Schedule
  readonly beta1?: number
  readonly beta2?: number
  /** Added to the root of the second moment, outside the root. */
  readonly epsilon?: number
  readonly weightDecay?: number
  /** Which parameters decay; by default the matrices except embedding tables. */
  readonly decays?: (name: string, shape: ReadonlyArray<number>) => boolean
  /** Largest global gradient norm; a longer gradient is scaled down to it. None by default. */
  readonly maxGradientNorm?: number
}

export interface AdamW {
  /**
   * Updates the parameters from summed gradients, which it divides by `weight` first; a parameter without one has gradient
   * zero. Disposes nothing of the caller's. A gradient whose norm is not a finite float32 number changes
   * nothing: then `applied` is false.
   */
  readonly update: (gradients: ReadonlyMap<string, tf.Tensor>, weight: number) => Effect.Effect<Update>
  readonly parameters: ReadonlyMap<string, tf.Variable>
  /** Updates done so far. */
  readonly step: () => number
  /** A copy of the state. */
  readonly state: Effect.Effect<State>
  /** Goes on from a state; fails with `StateMismatch` if it is of other parameters, and then changes nothing. */
  readonly restore: (state: State) => Effect.Effect<void, StateMismatch>
}

export interface Update {
  readonly applied: boolean
  /** Euclidean length of the divided gradient over all parameters, before clipping. */
  readonly gradientNorm: number
  readonly learningRate: number
}

/**
 * One update as numbers: with `g` the gradient times `scale`, `m <- beta1 m + (1 - beta1) g`,
 * `v <- beta2 v + (1 - beta2) g^2` and `w <- keep w - size m / (sqrt(v) correction + epsilon)`.
 */
export interface UpdateRule {
  readonly scale: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly size: number
  readonly correction: number
  readonly keep: number
}

/** Matrices decay; norms and biases (vectors) and embedding tables do not. */
export const decaysMatrices = (name: string, shape: ReadonlyArray<number>): boolean =>
  shape.length >= 2 && !name.includes("embed_tokens")

/**
 * Adam with decoupled weight decay: `w <- w - rate (mhat / (sqrt(vhat) + epsilon) + decay w)`.
 * **Details** Parameters and moments stay on the device, for the life of the scope. Defaults: betas 0.9 and 0.999, epsilon
 * 1e-8, no decay, no clipping.
 * **Gotchas** Devices with a kernel for it write the parameters in place, so whatever shares a parameter's data (a clone, a
 * reshape that was kept) changes with it.
 * **Source** Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2, with the schedule multiplied into the decay too, as
 * PyTorch does.
 */
export const make = Effect.fnUntraced(function* (
  parameters: ReadonlyMap<string, tf.Variable>,
  options: Options
): Effect.fn.Return<AdamW, never, Scope.Scope> {
  const { beta1 = 0.9, beta2 = 0.999, decays = decaysMatrices, epsilon = 1e-8, weightDecay = 0 } = options
  const { learningRate = constant(1e-3), maxGradientNorm = Number.POSITIVE_INFINITY } = options
  let step = 0
  const moments = yield* Effect.acquireRelease(
    Effect.sync(() => new Map([...parameters].map(([name, { shape }]) => [name, zeroMoments(shape)] as const))),
    (moments) =>
      Effect.sync(() => {
        for (const { first, second } of moments.values()) tf.dispose([first, second])
      })
  )

  const update = Effect.fnUntraced(function* (gradients: ReadonlyMap<string, tf.Tensor>, weight: number) {
    const rate = learningRate(step)
    const gradientNorm = (yield* globalNorm([...gradients.values()])) / weight
    if (!Number.isFinite(gradientNorm)) return { applied: false, gradientNorm, learningRate: rate }
    const scale = (gradientNorm > maxGradientNorm ? maxGradientNorm / gradientNorm : 1) / weight
    step++
    const rule = {
      scale,
      beta1,
      beta2,
      epsilon,
      size: rate / (1 - beta1 ** step),
      correction: 1 / Math.sqrt(1 - beta2 ** step)
    }
    for (const [name, parameter] of parameters) {
      const keep = 1 - (decays(name, parameter.shape) ? rate * weightDecay : 0)
      apply(parameter, moments.get(name)!, gradients.get(name), { ...rule, keep })
    }
    return { applied: true, gradientNorm, learningRate: rate }
  })

  const state = Effect.gen(function* () {
    const saved = new Map<string, { readonly first: Float32Array; readonly second: Float32Array }>()
    for (const [name, { first, second }] of moments)
      saved.set(name, { first: yield* read(first), second: yield* read(second) })
    return { step, moments: saved }
  })

  const restore = Effect.fnUntraced(function* (state: State) {
    for (const name of state.moments.keys())
      if (!parameters.has(name))
        return yield* new StateMismatch({ parameter: name, reason: "is not a parameter of the model" })
    for (const [name, { size }] of parameters) {
      const saved = state.moments.get(name)
      if (!saved) return yield* new StateMismatch({ parameter: name, reason: "has no saved moments" })
      if (saved.first.length !== size || saved.second.length !== size)
        return yield* new StateMismatch({
          parameter: name,
          reason: `has ${size} values, its moments ${saved.first.length} and ${saved.second.length}`
        })
    }
    step = state.step
    for (const [name, { first, second }] of moments) {
      setValues(first, state.moments.get(name)!.first)
      setValues(second, state.moments.get(name)!.second)
    }
  })

  return { update, parameters, restore, state, step: () => step }
})

interface Moments {
  readonly first: tf.Variable
  readonly second: tf.Variable
}

const zeroMoments = (shape: ReadonlyArray<number>): Moments =>
  tf.tidy(() => ({
    first: tf.variable(tf.zeros([...shape]), false),
    second: tf.variable(tf.zeros([...shape]), false)
  }))

/** Updates one parameter and its moments. */
const apply = (parameter: tf.Variable, moments: Moments, given: tf.Tensor | undefined, rule: UpdateRule): void =>
  tf.tidy(() => {
    const gradient = given ?? tf.zerosLike(parameter)
    if (hasKernel("AdamW")) call("AdamW", { parameter, gradient, ...moments }, rule)
    else composedUpdate(parameter, moments, gradient, rule)
  })

/** The update in the library's own operations. */
export const composedUpdate = (
  parameter: tf.Variable,
  { first, second }: Moments,
  gradient: tf.Tensor,
  { beta1, beta2, correction, epsilon, keep, scale, size }: UpdateRule
): void =>
  tf.tidy(() => {
    const g = tf.mul(gradient, scale)
    first.assign(tf.add(tf.mul(first, beta1), tf.mul(g, 1 - beta1)))
    second.assign(tf.add(tf.mul(second, beta2), tf.mul(tf.square(g), 1 - beta2)))
    const length = tf.add(tf.mul(tf.sqrt(second), correction), epsilon)
    parameter.assign(tf.sub(tf.mul(parameter, keep), tf.div(tf.mul(first, size), length)))
  })

/** Euclidean length of tensors together; the sums of their squares are read in one go. */
export const globalNorm = (tensors: ReadonlyArray<tf.Tensor>): Effect.Effect<number> =>
  Effect.map(
    Effect.acquireUseRelease(
      Effect.sync(() => tensors.map(sumOfSquares)),
      readAll,
      (sums) => Effect.sync(() => tf.dispose(sums))
    ),
    (sums) => Math.sqrt(sums.reduce((total, values) => total + values[0]!, 0))
  )

const sumOfSquares = (x: tf.Tensor): tf.Tensor =>
  tf.tidy(() => (hasKernel("SumOfSquares") ? call("SumOfSquares", { x })[0]! : tf.sum(tf.square(x))))

/** Replaces a variable's values, row-major. The array is copied. */
export const setValues = (variable: tf.Variable, values: Float32Array): void => {
  const next = tf.tensor(values.slice(), variable.shape, "float32")
  variable.assign(next)
  next.dispose()
}
