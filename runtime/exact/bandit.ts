/** Contextual bandits with enumerable responses, one context at a time: rewards, preferences, and what they imply. */
import { lbfgs } from "./minimize.ts"
import { dot, kl, logSoftmax, logSumExp, type Numbers, sigmoid, softplus } from "./numbers.ts"

/** Row by row: `matrix[y][z]` is the probability that `y` is preferred to `z`. */
export type Matrix = ReadonlyArray<Numbers>

/**
 * The policy `reference(y) exp(r(y)/beta) / Z` that maximizes `E r - beta KL(pi || reference)`; that maximum is
 * `beta logZ`. `beta > 0`, else a RangeError. Rafailov et al. 2023, arXiv 2305.18290, eq. 4.
 */
export const klOptimum = (
  logReference: Numbers,
  reward: Numbers,
  beta: number
): { readonly logPolicy: Float64Array; readonly logZ: number } => {
  if (!(beta > 0)) throw new RangeError(`beta must be positive, got ${beta}`)
  if (logReference.length !== reward.length)
    throw new RangeError(`${reward.length} rewards for ${logReference.length} responses`)
  const tilted = Float64Array.from(logReference, (l, y) => l + reward[y]! / beta)
  return { logPolicy: logSoftmax(tilted), logZ: logSumExp(tilted) }
}

/** `E_pi r`. */
export const expectedReward = (logPolicy: Numbers, reward: Numbers): number =>
  dot(Float64Array.from(logPolicy, Math.exp), reward)

/** `P(y > z) = sigma(r(y) - r(z))`. */
export const bradleyTerry = (reward: Numbers): ReadonlyArray<Float64Array> =>
  Array.from(reward, (a) => Float64Array.from(reward, (b) => sigmoid(a - b)))

/**
 * The preferences of a population of annotators: the weighted mean of their matrices (equal weights where none are
 * given). It may be intransitive even where every annotator is consistent.
 */
export const annotators = (matrices: ReadonlyArray<Matrix>, weights?: Numbers): ReadonlyArray<Float64Array> => {
  const [first] = matrices
  if (first === undefined) throw new RangeError("no annotators")
  const shares = weights ?? new Float64Array(matrices.length).fill(1)
  if (shares.length !== matrices.length)
    throw new RangeError(`${shares.length} weights for ${matrices.length} annotators`)
  const total = dot(shares, new Float64Array(shares.length).fill(1))
  if (!(total > 0)) throw new RangeError(`the annotators' weights sum to ${total}`)
  return first.map((row, y) =>
    Float64Array.from(row, (_, z) => matrices.reduce((sum, matrix, i) => sum + shares[i]! * matrix[y]![z]!, 0) / total)
  )
}

/** Probability that an answer of the policy is preferred to one of the opponent: `E P(y > z)`. */
export const winRate = (policy: Numbers, opponent: Numbers, preferences: Matrix): number =>
  dot(
    policy,
    preferences.map((row) => dot(row, opponent))
  )

/**
 * Expected calibration error in [0, 1]: predictions in [0, 1] fall into ten bins of equal width, and the distances
 * between a bin's mean prediction and mean outcome are averaged with the bins' counts. `outcomes` are 0 or 1, or
 * probabilities.
 */
export const expectedCalibrationError = (predictions: Numbers, outcomes: Numbers, bins = 10): number => {
  if (predictions.length !== outcomes.length)
    throw new RangeError(`${outcomes.length} outcomes for ${predictions.length} predictions`)
  const excess = new Float64Array(bins)
  for (let i = 0; i < predictions.length; i++) {
    const p = predictions[i]!
    if (!(p >= 0 && p <= 1)) throw new RangeError(`prediction ${i} is ${p}, not a probability`)
    excess[Math.min(bins - 1, Math.floor(p * bins))]! += p - outcomes[i]!
  }
  return predictions.length === 0 ? 0 : excess.reduce((sum, x) => sum + Math.abs(x), 0) / predictions.length
}

/** Expected reward and `KL(pi || reference)` of a regularized optimum. */
export interface FrontierPoint {
  readonly beta: number
  readonly reward: number
  readonly kl: number
}

/** The best achievable trade of reward against KL, at the given strengths of the penalty and in their order. */
export const frontier = (logReference: Numbers, reward: Numbers, betas: Numbers): ReadonlyArray<FrontierPoint> =>
  Array.from(betas, (beta) => {
    const { logPolicy } = klOptimum(logReference, reward, beta)
    return { beta, reward: expectedReward(logPolicy, reward), kl: kl(logPolicy, logReference) }
  })

/**
 * The Bradley-Terry scores of maximum likelihood for a preference matrix, centred to sum 0. `weights[y][z]` is how
 * often the pair is compared, symmetric (by default every pair equally often). RangeError where there is no finite
 * maximum: that is where some responses never win against the others (Ford 1957).
 */
export const fitBradleyTerry = (preferences: Matrix, weights?: Matrix): Float64Array => {
  const n = preferences.length
  const wins = preferences.map((row, y) =>
    Float64Array.from(row, (p, z) => (y === z ? 0 : (weights?.[y]?.[z] ?? 1) * p))
  )
  const total = wins.reduce((sum, row) => row.reduce((partial, w) => partial + w, sum), 0)
  if (!connected(wins)) throw new RangeError("some responses never win: their Bradley-Terry scores are not finite")
  const fitted = lbfgs(
    (scores) => {
      const gradient = new Float64Array(n)
      let value = 0
      wins.forEach((row, y) => {
        row.forEach((count, z) => {
          const weight = count / total
          const gap = scores[y]! - scores[z]!
          value += weight * softplus(-gap)
          gradient[y]! -= weight * sigmoid(-gap)
          gradient[z]! += weight * sigmoid(-gap)
        })
      })
      return { value, gradient }
    },
    new Float64Array(n),
    { steps: 1000, tolerance: 1e-12 }
  )
  const mean = fitted.theta.reduce((sum, s) => sum + s, 0) / n
  return fitted.theta.map((s) => s - mean)
}

/** Whether every response reaches every other one along wins. */
const connected = (wins: ReadonlyArray<Float64Array>): boolean => {
  const reachesAll = (edge: (from: number, to: number) => boolean) => {
    const seen = new Set([0])
    for (const from of seen) for (let to = 0; to < wins.length; to++) if (edge(from, to)) seen.add(to)
    return seen.size === wins.length
  }
  return reachesAll((y, z) => wins[y]![z]! > 0) && reachesAll((y, z) => wins[z]![y]! > 0)
}
