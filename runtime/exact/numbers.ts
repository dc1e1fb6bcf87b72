/** Scalar functions of distributions in float64. A distribution is held as its log-probabilities in nats. */

/** A vector of numbers, typed or not. */
export type Numbers = ArrayLike<number>

/** `ln sum_i exp(x_i)`; minus infinity for an empty vector. */
export const logSumExp = (x: Numbers): number => {
  const top = maximum(x)
  if (!Number.isFinite(top)) return top
  let sum = 0
  for (let i = 0; i < x.length; i++) sum += Math.exp(x[i]! - top)
  return top + Math.log(sum)
}

/** `x_i - logSumExp(x)`; a common shift of `x` costs no accuracy. */
export const logSoftmax = (x: Numbers): Float64Array => {
  const top = maximum(x)
  const shifted = Float64Array.from(x, (value) => value - top)
  const logZ = logSumExp(shifted)
  return shifted.map((value) => value - logZ)
}

/** Probabilities proportional to `exp(x_i)`. */
export const softmax = (x: Numbers): Float64Array => logSoftmax(x).map(Math.exp)

/** `ln(1 + e^x)` without overflow. */
export const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))

/** `1 / (1 + e^-x)` without overflow. */
export const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)))

/** `KL(p || q) = sum p ln(p/q)` in nats from log-probabilities; terms with `p = 0` count nothing. */
export const kl = (logP: Numbers, logQ: Numbers): number => {
  sameLength(logP, logQ)
  let sum = 0
  for (let i = 0; i < logP.length; i++) {
    const p = Math.exp(logP[i]!)
    if (p > 0) sum += p * (logP[i]! - logQ[i]!)
  }
  return sum
}

/** `-sum p ln p` in nats from log-probabilities. */
export const entropy = (logP: Numbers): number => {
  let sum = 0
  for (let i = 0; i < logP.length; i++) {
    const p = Math.exp(logP[i]!)
    if (p > 0) sum -= p * logP[i]!
  }
  return sum
}

/** `1/2 sum |p - q|` of two vectors of probabilities, in [0, 1]. */
export const totalVariation = (p: Numbers, q: Numbers): number => {
  sameLength(p, q)
  let sum = 0
  for (let i = 0; i < p.length; i++) sum += Math.abs(p[i]! - q[i]!)
  return sum / 2
}

/** Largest minus smallest entry: 0 for a constant vector. */
export const spread = (x: Numbers): number => {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < x.length; i++) least = Math.min(least, x[i]!)
  return x.length === 0 ? 0 : maximum(x) - least
}

/** Inner product. */
export const dot = (x: Numbers, y: Numbers): number => {
  sameLength(x, y)
  let sum = 0
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!
  return sum
}

/** Largest entry; minus infinity for an empty vector. */
export const maximum = (x: Numbers): number => {
  let top = Number.NEGATIVE_INFINITY
  for (let i = 0; i < x.length; i++) if (x[i]! > top) top = x[i]!
  return top
}

/** Euclidean norm. */
export const norm = (x: Numbers): number => Math.sqrt(dot(x, x))

const sameLength = (x: Numbers, y: Numbers) => {
  if (x.length !== y.length) throw new RangeError(`vectors of lengths ${x.length} and ${y.length}`)
}
