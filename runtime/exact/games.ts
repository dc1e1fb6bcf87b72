/**
 * The symmetric constant-sum game of a preference matrix `P` (`P[y][z]` is the probability that `y` beats `z`), and the
 * one of a skew-symmetric score matrix. A policy is a vector of probabilities.
 */
import type { Matrix } from "./bandit.ts"
import { dot, logSoftmax, maximum, type Numbers } from "./numbers.ts"

/**
 * Passes a matrix of preferences on: square, entries in [0, 1], `P + P^T = 1`, diagonal 1/2, all within `tolerance`.
 * Else a RangeError that names the first cell at fault.
 */
export const preferenceMatrix = (preferences: Matrix, tolerance = 1e-9): Matrix => {
  preferences.forEach((row, y) => {
    if (row.length !== preferences.length)
      throw new RangeError(`row ${y} has ${row.length} entries, the matrix ${preferences.length} rows`)
  })
  preferences.forEach((row, y) => {
    for (let z = 0; z < row.length; z++) {
      const p = row[z]!
      if (!(p >= -tolerance && p <= 1 + tolerance)) throw new RangeError(`P[${y}][${z}] is ${p}, not a probability`)
      if (y === z && Math.abs(p - 0.5) > tolerance) throw new RangeError(`P[${y}][${y}] is ${p}, not 1/2`)
      if (Math.abs(p + preferences[z]![y]! - 1) > tolerance)
        throw new RangeError(`P[${y}][${z}] + P[${z}][${y}] is ${p + preferences[z]![y]!}, not 1`)
    }
  })
  return preferences
}

/** `P(y > pi) = E_{z ~ pi} P(y > z)` for every `y`; with scores in place of preferences, the mean score of `y`. */
export const winRates = (preferences: Matrix, policy: Numbers): Float64Array =>
  Float64Array.from(preferences, (row) => dot(row, policy))

/** `max_y P(y > pi) - 1/2`: at least 0, and 0 exactly for a Nash policy. */
export const exploitability = (preferences: Matrix, policy: Numbers): number =>
  maximum(winRates(preferences, policy)) - 0.5

/** `max_y sum_z S(y, z) pi(z)` for skew-symmetric scores `S`. */
export const scoreExploitability = (scores: Matrix, policy: Numbers): number => maximum(winRates(scores, policy))

/** A Nash policy of a preference matrix; the only one in the generic case. RangeError as `preferenceMatrix`. */
export const nash = (preferences: Matrix): Float64Array =>
  nashOfScores(preferenceMatrix(preferences).map((row) => Float64Array.from(row, (p) => p - 0.5)))

/**
 * A Nash policy of the game with skew-symmetric payoffs `S`: no row of `S pi` exceeds 0. With `M = S/max|S| + 2 > 0` it
 * is `q / sum q` for the `q >= 0` that maximizes `sum q` under `M q <= 1`, found by the simplex method from `q = 0`.
 */
export const nashOfScores = (scores: Matrix): Float64Array => {
  const n = scores.length
  scores.forEach((row, y) => {
    if (row.length !== n) throw new RangeError(`row ${y} has ${row.length} entries, the matrix ${n} rows`)
    for (let z = 0; z < n; z++)
      if (!(Math.abs(row[z]! + scores[z]![y]!) <= 1e-9 * Math.max(1, Math.abs(row[z]!))))
        throw new RangeError(`S[${y}][${z}] is ${row[z]!} and S[${z}][${y}] is ${scores[z]![y]!}: not skew-symmetric`)
  })
  if (n === 0) throw new RangeError("a game without responses")
  const scale = Math.max(...scores.map((row) => maximum(Float64Array.from(row, Math.abs))))
  if (scale === 0) return new Float64Array(n).fill(1 / n)
  const q = maximizeSum(scores.map((row) => Float64Array.from(row, (s) => s / scale + 2)))
  const total = q.reduce((sum, x) => sum + x, 0)
  return q.map((x) => x / total)
}

/**
 * One step of multiplicative weights, `pi'(y)` proportional to `pi(y) exp(rate * payoff(y))`, on log-probabilities.
 * With `payoff = winRates(P, pi)` it is soft policy iteration at `eta = 1/rate` (Rosset et al. 2024, arXiv 2404.03715).
 */
export const multiplicativeWeights = (logPolicy: Numbers, payoff: Numbers, rate: number): Float64Array =>
  logSoftmax(Float64Array.from(logPolicy, (l, y) => l + rate * payoff[y]!))

/** One step of soft policy iteration under a preference matrix: `pi'(y)` proportional to `pi(y) exp(P(y > pi)/eta)`. */
export const softPolicyIteration = (preferences: Matrix, logPolicy: Numbers, eta: number): Float64Array => {
  if (!(eta > 0)) throw new RangeError(`eta must be positive, got ${eta}`)
  return multiplicativeWeights(logPolicy, winRates(preferences, Float64Array.from(logPolicy, Math.exp)), 1 / eta)
}

/** The `q >= 0` with the largest sum under `M q <= 1`, `M > 0`, by the dense simplex method with Bland's rule. */
const maximizeSum = (matrix: ReadonlyArray<Float64Array>): Float64Array => {
  const n = matrix.length
  // Columns: n unknowns, n slacks, the right-hand side. The last row holds the reduced costs.
  const tableau = matrix.map((row, i) => {
    const line = new Float64Array(2 * n + 1)
    line.set(row)
    line[n + i] = 1
    line[2 * n] = 1
    return line
  })
  const costs = new Float64Array(2 * n + 1).fill(-1, 0, n)
  const basis = matrix.map((_, i) => n + i)
  for (;;) {
    const entering = costs.findIndex((cost, j) => j < 2 * n && cost < -1e-12)
    if (entering < 0) break
    let leaving = -1
    let least = Number.POSITIVE_INFINITY
    tableau.forEach((line, i) => {
      if (line[entering]! <= 1e-12) return
      const ratio = line[2 * n]! / line[entering]!
      const tie = Math.abs(ratio - least) <= 1e-14
      if ((!tie && ratio < least) || (tie && basis[i]! < basis[leaving]!)) {
        least = ratio
        leaving = i
      }
    })
    if (leaving < 0) throw new RangeError("the game's payoffs are not finite")
    const pivotLine = tableau[leaving]!
    const pivot = pivotLine[entering]!
    for (let j = 0; j <= 2 * n; j++) pivotLine[j]! /= pivot
    for (const line of [...tableau, costs]) {
      const factor = line[entering]!
      if (line === pivotLine || factor === 0) continue
      for (let j = 0; j <= 2 * n; j++) line[j]! -= factor * pivotLine[j]!
    }
    basis[leaving] = entering
  }
  const solution = new Float64Array(n)
  basis.forEach((variable, i) => {
    if (variable < n) solution[variable] = Math.max(0, tableau[i]![2 * n]!)
  })
  return solution
}
