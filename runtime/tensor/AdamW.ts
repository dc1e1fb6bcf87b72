import * as tf from "@tensorflow/tfjs"
import { Schema } from "effect"
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
   * Updates the parameters from summed gradients, which it divides by `weight` first. Disposes nothing of the caller's.
   * A non-finite gradient changes nothing: then `applied` is false.
   */
  readonly update: (gradients: ReadonlyMap<string, Float32Array>, weight: number) => Update
  readonly parameters: ReadonlyMap<string, tf.Variable>
  /** A copy of the state. */
  readonly state: () => State
  /** Goes on from a state; throws `StateMismatch` if it is of other parameters, and then changes nothing. */
  readonly restore: (state: State) => void
}

export interface Update {
  readonly applied: boolean
  /** Euclidean length of the divided gradient over all parameters, before clipping. */
  readonly gradientNorm: number
  readonly learningRate: number
}

/** Matrices decay; norms and biases (vectors) and embedding tables do not. */
export const decaysMatrices = (name: string, shape: ReadonlyArray<number>): boolean =>
  shape.length >= 2 && !name.includes("embed_tokens")

/**
 * Adam with decoupled weight decay: `w <- w - rate (mhat / (sqrt(vhat) + epsilon) + decay w)`.
 * **Details** Moments are float32 on the host, arithmetic is float64. Every update gives each parameter a new tensor and
 * never writes in place, because the wasm backend keeps packed copies of matrices it has multiplied by. It holds no tensor
 * of its own. Defaults: betas 0.9 and 0.999, epsilon 1e-8, no decay, no clipping.
 * **Source** Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2, with the schedule multiplied into the decay too, as
 * PyTorch does.
 */
export const make = (parameters: ReadonlyMap<string, tf.Variable>, options: Options): AdamW => {
  const { beta1 = 0.9, beta2 = 0.999, decays = decaysMatrices, epsilon = 1e-8, weightDecay = 0 } = options
  const { learningRate = constant(1e-3), maxGradientNorm = Number.POSITIVE_INFINITY } = options
  let step = 0
  let moments = new Map(
    [...parameters].map(([name, { size }]) => [name, { first: new Float32Array(size), second: new Float32Array(size) }])
  )

  const update = (gradients: ReadonlyMap<string, Float32Array>, weight: number): Update => {
    const rate = learningRate(step)
    const gradientNorm = globalNorm(gradients) / weight
    if (!Number.isFinite(gradientNorm)) return { applied: false, gradientNorm, learningRate: rate }
    const scale = Math.min(1, maxGradientNorm / gradientNorm) / weight
    step++
    const size = rate / (1 - beta1 ** step)
    const correction = 1 / Math.sqrt(1 - beta2 ** step)
    for (const [name, parameter] of parameters) {
      const gradient = gradients.get(name)
      if (!gradient) throw new Error(`no gradient for parameter ${name}`)
      const { first, second } = moments.get(name)!
      const current = parameter.dataSync<"float32">()
      const next = new Float32Array(current.length)
      const keep = 1 - (decays(name, parameter.shape) ? rate * weightDecay : 0)
      for (let i = 0; i < next.length; i++) {
        const g = gradient[i]! * scale
        const m = beta1 * first[i]! + (1 - beta1) * g
        const v = beta2 * second[i]! + (1 - beta2) * g * g
        first[i] = m
        second[i] = v
        next[i] = keep * current[i]! - (size * m) / (Math.sqrt(v) * correction + epsilon)
      }
      assign(parameter, next)
    }
    return { applied: true, gradientNorm, learningRate: rate }
  }

  const restore = (state: State) => {
    for (const name of state.moments.keys())
      if (!parameters.has(name)) throw new StateMismatch({ parameter: name, reason: "is not a parameter of the model" })
    const restored: typeof moments = new Map()
    for (const [name, { size }] of parameters) {
      const saved = state.moments.get(name)
      if (!saved) throw new StateMismatch({ parameter: name, reason: "has no saved moments" })
      if (saved.first.length !== size || saved.second.length !== size)
        throw new StateMismatch({ parameter: name, reason: `has ${size} values, its moments ${saved.first.length}` })
      restored.set(name, { first: saved.first.slice(), second: saved.second.slice() })
    }
    step = state.step
    moments = restored
  }

  return {
    update,
    parameters,
    restore,
    state: () => ({
      step,
      moments: new Map(
        [...moments].map(([name, { first, second }]) => [name, { first: first.slice(), second: second.slice() }])
      )
    })
  }
}

/** Euclidean length of all gradients together, accumulated in float64. */
export const globalNorm = (gradients: ReadonlyMap<string, Float32Array>): number => {
  let squares = 0
  for (const gradient of gradients.values()) for (const g of gradient) squares += g * g
  return Math.sqrt(squares)
}

const assign = (parameter: tf.Variable, values: Float32Array): void => {
  const next = tf.tensor(values, parameter.shape, "float32")
  parameter.assign(next)
  next.dispose()
}
