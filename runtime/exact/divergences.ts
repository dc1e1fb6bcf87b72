/**
 * The f-divergences `D_f(p || q) = sum q f(p/q)` under which the regularized optimum has a closed reward-policy
 * relation (Wang et al. 2023, "Beyond Reverse KL", arXiv 2309.16240).
 */
import { logSoftmax, logSumExp, maximum, type Numbers, softplus } from "./numbers.ts"

/** One generator `f` (convex, `f(1) = 0`) with everything that is derived from it; `u = p/q >= 0`, `l = ln u`. */
export interface Divergence {
  readonly name: string
  readonly f: (u: number) => number
  readonly derivative: (u: number) => number
  /** The `u` with `f'(u) = v`, for `v` below `supremum`. */
  readonly derivativeInverse: (v: number) => number
  /** Least upper bound of `f'`, not reached. */
  readonly supremum: number
  /** `f'(e^l)` up to a constant, strictly increasing in `l`. */
  readonly score: (l: number) => number
  /** The derivative of `score`. */
  readonly scoreSlope: (l: number) => number
  /** `gap(l) = supremum - f'(e^l) > 0` and the `l` of a gap, both without cancellation; absent where it is infinite. */
  readonly below?: { readonly gap: (l: number) => number; readonly logRatio: (gap: number) => number }
}

/** `KL(p || q)`: `f(u) = u ln u`, the usual penalty. */
export const reverseKl: Divergence = {
  name: "reverse_kl",
  f: (u) => (u === 0 ? 0 : u * Math.log(u)),
  derivative: (u) => Math.log(u) + 1,
  derivativeInverse: (v) => Math.exp(v - 1),
  supremum: Number.POSITIVE_INFINITY,
  score: (l) => l,
  scoreSlope: () => 1
}

/** `KL(q || p)`: `f(u) = -ln u`. */
export const forwardKl: Divergence = {
  name: "forward_kl",
  f: (u) => -Math.log(u),
  derivative: (u) => -1 / u,
  derivativeInverse: (v) => -1 / v,
  supremum: 0,
  score: (l) => -Math.exp(-l),
  scoreSlope: (l) => Math.exp(-l),
  below: { gap: (l) => Math.exp(-l), logRatio: (gap) => -Math.log(gap) }
}

/** Twice the Jensen-Shannon divergence of the textbooks: `f''(1) = 1/2`, while the others have `f''(1) = 1`. */
export const jsd: Divergence = {
  name: "jsd",
  f: (u) => (u === 0 ? Math.LN2 : u * Math.log(u) - (u + 1) * Math.log((u + 1) / 2)),
  derivative: (u) => Math.log((2 * u) / (1 + u)),
  derivativeInverse: (v) => Math.exp(v) / (2 - Math.exp(v)),
  supremum: Math.LN2,
  score: (l) => Math.LN2 - softplus(-l),
  scoreSlope: (l) => 1 / (1 + Math.exp(l)),
  below: { gap: (l) => softplus(-l), logRatio: (gap) => -gap - Math.log(-Math.expm1(-gap)) }
}

/** The alpha-divergence, `0 < a < 1`: near 0 it is `reverseKl`, near 1 `forwardKl`. Throws a RangeError outside. */
export const alpha = (a: number): Divergence => {
  if (!(a > 0 && a < 1)) throw new RangeError(`alpha must lie between 0 and 1, got ${a}`)
  return {
    name: `alpha(${a})`,
    f: (u) => (u ** (1 - a) - (1 - a) * u - a) / (a * (a - 1)),
    derivative: (u) => (1 - u ** -a) / a,
    derivativeInverse: (v) => (1 - a * v) ** (-1 / a),
    supremum: 1 / a,
    score: (l) => -Math.exp(-a * l) / a,
    scoreSlope: (l) => Math.exp(-a * l),
    below: { gap: (l) => Math.exp(-a * l) / a, logRatio: (gap) => -Math.log(a * gap) / a }
  }
}

export type DivergenceName = "reverse_kl" | "forward_kl" | "jsd" | "alpha"

/** The divergence of a name; `a` is read for `alpha` alone. */
export const byName = (name: DivergenceName, a = 0.5): Divergence =>
  name === "reverse_kl" ? reverseKl : name === "forward_kl" ? forwardKl : name === "jsd" ? jsd : alpha(a)

/** `D_f(p || q)` in nats from log-probabilities, all finite. */
export const divergence = (of: Divergence, logP: Numbers, logQ: Numbers): number => {
  if (logP.length !== logQ.length) throw new RangeError(`vectors of lengths ${logP.length} and ${logQ.length}`)
  let sum = 0
  for (let i = 0; i < logP.length; i++) sum += Math.exp(logQ[i]!) * of.f(Math.exp(logP[i]! - logQ[i]!))
  return sum
}

/** The optimum of `E r - beta D_f(pi || reference)` and the multiplier of its normalization. */
export interface Optimum {
  readonly logPolicy: Float64Array
  /** `r(y) = beta f'(pi(y)/reference(y)) + lambda` for every `y`. */
  readonly lambda: number
}

/**
 * Maximizes `E_pi r - beta D_f(pi || reference)` over distributions on the responses, by bisection on `lambda` in
 * `sum_y reference(y) (f')^-1((r(y) - lambda)/beta) = 1`. The unknown is kept as the logarithm of its distance from the
 * least feasible value, so that tiny reference probabilities cost no digits. `beta > 0`, else a RangeError.
 */
export const optimum = (of: Divergence, logReference: Numbers, reward: Numbers, beta: number): Optimum => {
  if (!(beta > 0)) throw new RangeError(`beta must be positive, got ${beta}`)
  if (logReference.length !== reward.length)
    throw new RangeError(`${reward.length} rewards for ${logReference.length} responses`)
  const { below } = of
  if (below === undefined) {
    const tilted = Float64Array.from(logReference, (l, y) => l + reward[y]! / beta)
    return { logPolicy: logSoftmax(tilted), lambda: beta * (logSumExp(tilted) - 1) }
  }
  const best = maximum(reward)
  const at = (logGap: number) =>
    Float64Array.from(logReference, (l, y) => l + below.logRatio((best - reward[y]!) / beta + Math.exp(logGap)))
  // At the upper end no ratio exceeds 1. At the lower end the best response alone has all the probability.
  const first = Array.from(reward).indexOf(best)
  let [low, high] = [Math.log(below.gap(-logReference[first]!)), Math.log(below.gap(0))]
  for (let i = 0; i < 200; i++) {
    const middle = low + (high - low) / 2
    if (middle <= low || middle >= high) break
    if (logSumExp(at(middle)) > 0) low = middle
    else high = middle
  }
  return { logPolicy: logSoftmax(at(high)), lambda: best - beta * (of.supremum - Math.exp(high)) }
}
