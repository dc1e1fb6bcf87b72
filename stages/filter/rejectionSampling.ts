/** An accepted candidate by its place, and the pass over the remaining ones in which it was accepted, from 0. */
export interface Accepted {
  readonly index: number
  readonly pass: number
}

/**
 * Draws `k` of the candidates without replacement, so that the first follows the candidates' own law tilted by
 * `exp(reward / beta)`; in order of acceptance.
 * **Details** Passes over what is left in given order until `k` are accepted: a candidate of reward r is accepted with
 * probability `exp((r - M) / beta)`, M the highest reward left when the pass began. `beta` 0 is the limit, where only
 * candidates of reward M are. `uniform(n)` in [0, 1) decides about the n-th candidate visited; it is asked at beta 0
 * too. Every pass accepts, so this ends. Throws a `RangeError` for more than there are.
 * **Source** Liu et al. 2023, arXiv 2309.06657 (RSO), the sampler of its appendix.
 */
export const rejectionSampling = (
  rewards: ReadonlyArray<number>,
  { beta, k }: { readonly k: number; readonly beta: number },
  uniform: (visit: number) => number
): ReadonlyArray<Accepted> => {
  if (k > rewards.length) throw new RangeError(`cannot accept ${k} of ${rewards.length} candidates`)
  const accepted: Array<Accepted> = []
  let remaining = rewards.map((_, i) => i)
  for (let pass = 0, visit = 0; accepted.length < k; pass++) {
    const best = remaining.reduce((high, i) => Math.max(high, rewards[i]!), Number.NEGATIVE_INFINITY)
    const left: Array<number> = []
    for (const index of remaining) {
      if (accepted.length === k) break
      const gap = rewards[index]! - best
      const probability = gap === 0 ? 1 : Math.exp(gap / beta)
      if (uniform(visit++) < probability) accepted.push({ index, pass })
      else left.push(index)
    }
    remaining = left
  }
  return accepted
}
