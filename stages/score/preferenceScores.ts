/** Scores of preference embeddings: vectors of pairs of coordinates, compared by a skew-symmetric form. */

type Vector = ArrayLike<number>

/** The vector divided by its length, which counts as 1e-6 at least. */
export const unit = (vector: Vector): ReadonlyArray<number> => {
  const length = Math.sqrt(Math.max(sum(Array.from(vector, (x) => x * x)), 1e-12))
  return Array.from(vector, (x) => x / length)
}

/** `sum_k v_2k w_2k+1 - v_2k+1 w_2k`: positive where `v` is preferred to `w`. */
export const preferenceScore = (v: Vector, w: Vector): number => {
  let score = 0
  for (let k = 0; k + 1 < v.length; k += 2) score += v[k]! * w[k + 1]! - v[k + 1]! * w[k]!
  return score
}

/** The mean score of each vector against all of them, its own 0 included. */
export const meanScores = (vectors: ReadonlyArray<Vector>, normalized: boolean): ReadonlyArray<number> => {
  const embeddings = normalized ? vectors.map(unit) : vectors
  return embeddings.map((v) => sum(embeddings.map((w) => preferenceScore(v, w))) / embeddings.length)
}

const sum = (values: ReadonlyArray<number>) => values.reduce((total, x) => total + x, 0)
