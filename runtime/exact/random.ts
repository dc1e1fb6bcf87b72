/** Random parts of worlds; every value is a function of the generator alone. */
import type { Rng } from "../../dsl/Rng.ts"
import { logSumExp, sigmoid } from "./numbers.ts"

/** Independent normal rewards, `[rows][columns]`. */
export const normalMatrix = (
  rows: number,
  columns: number,
  rng: Rng,
  deviation = 1
): ReadonlyArray<ReadonlyArray<number>> =>
  Array.from({ length: rows }, (_, i) =>
    Array.from({ length: columns }, (_, j) => deviation * rng.normal(i * columns + j))
  )

/** `count` independent normal numbers: the logits of a random policy. */
export const normalVector = (count: number, rng: Rng, deviation = 1): Float64Array =>
  Float64Array.from({ length: count }, (_, i) => deviation * rng.normal(i))

/**
 * The logarithm of a gamma variate of the given shape and scale 1, at an index of the generator (Marsaglia and Tsang
 * 2000; a shape below 1 by their power of a uniform). In logarithms, as small shapes give numbers below those of
 * float64.
 */
export const logGamma = (rng: Rng, index: number, shape: number): number => {
  if (!(shape > 0)) throw new RangeError(`the shape of a gamma distribution must be positive, got ${shape}`)
  const draws = rng.fork(index)
  if (shape < 1) return logGammaFrom(draws.fork("boosted"), shape + 1) + Math.log(1 - draws.uniform(0)) / shape
  return logGammaFrom(draws, shape)
}

/** Log-probabilities of a draw from the symmetric Dirichlet distribution over `size` outcomes. */
export const logDirichlet = (size: number, concentration: number, rng: Rng): Float64Array => {
  const logs = Float64Array.from({ length: size }, (_, i) => logGamma(rng, i, concentration))
  const total = logSumExp(logs)
  return logs.map((x) => x - total)
}

/** One Dirichlet draw per context, as the logits of a softmax policy, `[contexts * responses]`. */
export const dirichletLogits = (contexts: number, responses: number, concentration: number, rng: Rng): Float64Array => {
  const logits = new Float64Array(contexts * responses)
  for (let context = 0; context < contexts; context++)
    logits.set(logDirichlet(responses, concentration, rng.fork(context)), context * responses)
  return logits
}

/** A preference matrix whose pairs are independent and uniform on [0, 1): general, as a rule intransitive. */
export const uniformPreferences = (size: number, rng: Rng): ReadonlyArray<ReadonlyArray<number>> =>
  square(size, (y, z) => (y === z ? 0.5 : y < z ? rng.uniform(y * size + z) : 1 - rng.uniform(z * size + y)))

/** Skew-symmetric scores `A - A^T` with independent standard normal `A`. */
export const skewScores = (size: number, rng: Rng): ReadonlyArray<ReadonlyArray<number>> =>
  square(size, (y, z) => rng.normal(y * size + z) - rng.normal(z * size + y))

/** Preferences `sigma(S)` of skew-symmetric scores. */
export const preferencesOfScores = (
  scores: ReadonlyArray<ReadonlyArray<number>>
): ReadonlyArray<ReadonlyArray<number>> => scores.map((row) => row.map(sigmoid))

const square = (size: number, entry: (y: number, z: number) => number) =>
  Array.from({ length: size }, (_, y) => Array.from({ length: size }, (_, z) => entry(y, z)))

const logGammaFrom = (draws: Rng, shape: number): number => {
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (let attempt = 0; ; attempt++) {
    const x = draws.normal(2 * attempt)
    const v = (1 + c * x) ** 3
    if (v <= 0) continue
    const u = 1 - draws.uniform(2 * attempt + 1)
    if (Math.log(u) < x ** 2 / 2 + d - d * v + d * Math.log(v)) return Math.log(d * v)
  }
}
