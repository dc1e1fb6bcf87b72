/** Deterministic minimization of smooth functions of a float64 vector. */
import { dot, norm } from "./numbers.ts"

/**
 * A function with its gradient. It must not keep or change `theta`, and must return a fresh gradient. A minimization
 * that comes to a point where either is not finite throws a RangeError.
 */
export type Objective = (theta: Float64Array) => { readonly value: number; readonly gradient: Float64Array }

export interface Options {
  /** Most updates. */
  readonly steps: number
  /** Step size, where the method has one. */
  readonly learningRate?: number
  /** Ends early once the Euclidean norm of the gradient is at most this; 0 by default. */
  readonly tolerance?: number
}

/** Where a minimization ended; `value` and `gradientNorm` belong to `theta`, `steps` is the number of updates made. */
export interface Minimum {
  readonly theta: Float64Array
  readonly value: number
  readonly gradientNorm: number
  readonly steps: number
}

/** Plain descent, `theta - learningRate * gradient` (0.1 by default). */
export const gradientDescent = (objective: Objective, start: Float64Array, options: Options): Minimum => {
  const { learningRate = 0.1 } = options
  return descend(objective, start, options, (theta, gradient) => theta.map((x, i) => x - learningRate * gradient[i]!))
}

/** Adam (Kingma and Ba 2015) with bias correction; `learningRate` 0.001 by default. */
export const adam = (
  objective: Objective,
  start: Float64Array,
  options: Options & { readonly beta1?: number; readonly beta2?: number; readonly epsilon?: number }
): Minimum => {
  const { learningRate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options
  const first = new Float64Array(start.length)
  const second = new Float64Array(start.length)
  return descend(objective, start, options, (theta, gradient, step) =>
    theta.map((x, i) => {
      first[i] = beta1 * first[i]! + (1 - beta1) * gradient[i]!
      second[i] = beta2 * second[i]! + (1 - beta2) * gradient[i]! ** 2
      const scale = Math.sqrt(second[i]! / (1 - beta2 ** step)) + epsilon
      return x - (learningRate * (first[i]! / (1 - beta1 ** step))) / scale
    })
  )
}

/**
 * Limited-memory BFGS with a strong Wolfe line search (Nocedal and Wright 2006, algorithms 7.5, 3.5 and 3.6; constants
 * 1e-4 and 0.9) that judges by the slope where values differ by rounding alone (Hager and Zhang 2005). `memory` is the
 * number of steps remembered, 50 by default: worlds are small, and ill-conditioned ones gain much. Ends early, too,
 * where float64 allows no more progress.
 */
export const lbfgs = (
  objective: Objective,
  start: Float64Array,
  options: Options & { readonly memory?: number }
): Minimum => {
  const { memory = 50, tolerance = 0 } = options
  let at = finite(evaluate(objective, Float64Array.from(start)), 0)
  let history: ReadonlyArray<Correction> = []
  let steps = 0
  while (steps < options.steps && at.gradientNorm > tolerance) {
    let direction = quasiNewton(at.gradient, history)
    if (!(dot(direction, at.gradient) < 0)) {
      history = []
      direction = at.gradient.map((g) => -g)
    }
    const first = history.length === 0 ? Math.min(1, 1 / at.gradientNorm) : 1
    const next = strongWolfe(objective, at, direction, first)
    if (next === undefined || !(next.value < at.value || next.gradientNorm < at.gradientNorm)) {
      if (history.length === 0) break
      history = []
      continue
    }
    const s = next.theta.map((x, i) => x - at.theta[i]!)
    const y = next.gradient.map((g, i) => g - at.gradient[i]!)
    const sy = dot(s, y)
    if (sy > 1e-12 * norm(s) * norm(y)) history = [...history, { s, y, sy }].slice(-memory)
    at = next
    steps++
  }
  return { theta: at.theta, value: at.value, gradientNorm: at.gradientNorm, steps }
}

interface Point {
  readonly theta: Float64Array
  readonly value: number
  readonly gradient: Float64Array
  readonly gradientNorm: number
}

/** A step, the change of the gradient along it, and their inner product. */
interface Correction {
  readonly s: Float64Array
  readonly y: Float64Array
  readonly sy: number
}

const evaluate = (objective: Objective, theta: Float64Array): Point => {
  const { gradient, value } = objective(theta)
  return { theta, value, gradient, gradientNorm: norm(gradient) }
}

const finite = (point: Point, step: number): Point => {
  if (!Number.isFinite(point.value) || !Number.isFinite(point.gradientNorm))
    throw new RangeError(
      `after ${step} steps the objective is ${point.value}, its gradient's norm ${point.gradientNorm}`
    )
  return point
}

const descend = (
  objective: Objective,
  start: Float64Array,
  { steps, tolerance = 0 }: Options,
  update: (theta: Float64Array, gradient: Float64Array, step: number) => Float64Array
): Minimum => {
  let at = finite(evaluate(objective, Float64Array.from(start)), 0)
  let step = 0
  while (step < steps && at.gradientNorm > tolerance) {
    step++
    at = finite(evaluate(objective, update(at.theta, at.gradient, step)), step)
  }
  return { theta: at.theta, value: at.value, gradientNorm: at.gradientNorm, steps: step }
}

/** Minus the inverse Hessian's estimate times the gradient, by the two-loop recursion. */
const quasiNewton = (gradient: Float64Array, history: ReadonlyArray<Correction>): Float64Array => {
  const q = gradient.map((g) => -g)
  const shares: Array<number> = []
  for (const { s, sy, y } of history.toReversed()) {
    const share = dot(s, q) / sy
    shares.unshift(share)
    q.forEach((value, i) => {
      q[i] = value - share * y[i]!
    })
  }
  const last = history.at(-1)
  if (last !== undefined) {
    const scale = last.sy / dot(last.y, last.y)
    q.forEach((value, i) => {
      q[i] = value * scale
    })
  }
  history.forEach(({ s, sy, y }, k) => {
    const share = shares[k]! - dot(y, q) / sy
    q.forEach((value, i) => {
      q[i] = value + share * s[i]!
    })
  })
  return q
}

/**
 * A point with sufficient decrease (and, unless float64 ends first, a small slope), or undefined where there is none.
 */
const strongWolfe = (objective: Objective, from: Point, direction: Float64Array, first: number): Point | undefined => {
  const slope = dot(from.gradient, direction)
  const at = (step: number) => {
    const point = evaluate(
      objective,
      from.theta.map((x, i) => x + step * direction[i]!)
    )
    return { step, point, slope: dot(point.gradient, direction) }
  }
  type Trial = ReturnType<typeof at>
  const rounding = 4 * Number.EPSILON * Math.abs(from.value)
  const lowers = ({ point, slope: end, step }: Trial) =>
    Number.isFinite(point.gradientNorm) &&
    (point.value <= from.value + 1e-4 * step * slope ||
      (point.value <= from.value + rounding && end <= (2e-4 - 1) * slope))
  const flat = (trial: Trial) => Math.abs(trial.slope) <= -0.9 * slope
  const zoom = (bottom: Trial, top: number): Point | undefined => {
    let [best, end] = [bottom, top]
    for (let i = 0; i < 60; i++) {
      const trial = at((best.step + end) / 2)
      if (trial.step === best.step || trial.step === end) break
      if (!lowers(trial) || trial.point.value > best.point.value + rounding) end = trial.step
      else {
        if (flat(trial)) return trial.point
        if (trial.slope * (end - best.step) >= 0) end = best.step
        best = trial
      }
    }
    return best.step > 0 ? best.point : undefined
  }
  let previous: Trial = { step: 0, point: from, slope }
  let trial = at(first)
  for (let i = 0; i < 60; i++) {
    if (!lowers(trial) || trial.point.value > previous.point.value + rounding) return zoom(previous, trial.step)
    if (flat(trial)) return trial.point
    if (trial.slope >= 0) return zoom(trial, previous.step)
    previous = trial
    trial = at(2 * trial.step)
  }
  return previous.point
}
