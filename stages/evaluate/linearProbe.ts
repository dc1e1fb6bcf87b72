/** Whether a linear function of features tells chosen answers from rejected ones. */
import { lbfgs } from "../../runtime/exact/minimize.ts"
import { dot, type Numbers, sigmoid, softplus } from "../../runtime/exact/numbers.ts"

/** The features of a pair's two answers, of equal length. */
export interface FeaturePair {
  readonly chosen: Numbers
  readonly rejected: Numbers
}

/** `weights . x + intercept` above 0 says chosen. */
export interface Probe {
  readonly weights: Float64Array
  readonly intercept: number
}

/**
 * Logistic regression of chosen (1) against rejected (0) with an L2 penalty: minimizes
 * `1/2 |weights|^2 + strength * sum of log-losses`, intercept unpenalized, until the gradient's norm is at most 1e-6.
 */
export const fitProbe = (pairs: ReadonlyArray<FeaturePair>, strength: number): Probe => {
  const width = pairs[0]?.chosen.length ?? 0
  const rows = pairs.flatMap(({ chosen, rejected }) => [
    { x: chosen, sign: 1 },
    { x: rejected, sign: -1 }
  ])
  if (rows.some(({ x }) => x.length !== width)) throw new RangeError("answers have features of different lengths")
  const { theta } = lbfgs(
    (at) => {
      const gradient = Float64Array.from(at, (weight, i) => (i < width ? weight : 0))
      const weights = at.subarray(0, width)
      let value = dot(weights, weights) / 2
      for (const { sign, x } of rows) {
        const margin = sign * (dot(weights, x) + at[width]!)
        value += strength * softplus(-margin)
        const slope = -strength * sign * sigmoid(-margin)
        for (let i = 0; i < width; i++) gradient[i]! += slope * x[i]!
        gradient[width]! += slope
      }
      return { value, gradient }
    },
    new Float64Array(width + 1),
    { steps: 1000, tolerance: 1e-6 }
  )
  return { weights: theta.slice(0, width), intercept: theta[width]! }
}

/** Shares of answers, of both sides, that the probe puts on their own side. */
export const probeAccuracy = ({ intercept, weights }: Probe, pairs: ReadonlyArray<FeaturePair>): number => {
  const right = pairs.reduce((sum, { chosen, rejected }) => {
    const [a, b] = [dot(weights, chosen) + intercept, dot(weights, rejected) + intercept]
    return sum + (a > 0 ? 1 : 0) + (b <= 0 ? 1 : 0)
  }, 0)
  return right / (2 * pairs.length)
}

/** Held-out accuracy in each of `folds` folds; pair `i` is in fold `i mod folds`, so both its sides are held out together. */
export const crossValidated = (
  pairs: ReadonlyArray<FeaturePair>,
  { folds, strength }: { readonly folds: number; readonly strength: number }
): ReadonlyArray<number> => {
  if (pairs.length < folds) throw new RangeError(`${pairs.length} pairs do not fill ${folds} folds`)
  return Array.from({ length: folds }, (_, fold) => {
    const [seen, unseen] = [pairs.filter((_, i) => i % folds !== fold), pairs.filter((_, i) => i % folds === fold)]
    return probeAccuracy(fitProbe(seen, strength), unseen)
  })
}
