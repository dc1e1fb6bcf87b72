import type { Policy } from "./Policy.ts"

/**
 * Expected mean of `rewards[symbol]` over the symbols of an answer, 0 for an answer without any, by dynamic programming: what
 * judges expect who divide by the length.
 */
export const expectedMeanReward = (policy: Policy, context: number, rewards: ArrayLike<number>): number => {
  const { horizon, logProbs, next, start, states, symbol } = policy.process
  /** By state, after so many symbols: the probability to be there, and the expected reward so far where one is. */
  let reached: Reached = { probability: new Float64Array(states), reward: new Float64Array(states) }
  reached.probability[start] = 1
  let total = 0
  for (let position = 0; position < horizon; position++) {
    const after: Reached = { probability: new Float64Array(states), reward: new Float64Array(states) }
    for (let state = 0; state < states; state++) {
      const before = reached.probability[state]!
      if (before === 0) continue
      logProbs(context, position, state).forEach((logProb, action) => {
        const p = Math.exp(logProb)
        if (p === 0) return
        const written = symbol(action)
        const reward = p * (reached.reward[state]! + (written === undefined ? 0 : before * rewards[written]!))
        const to = next(position, action)
        const symbols = position + (written === undefined ? 0 : 1)
        if (typeof to !== "number") total += symbols === 0 ? 0 : reward / symbols
        else {
          after.probability[to] = after.probability[to]! + p * before
          after.reward[to] = after.reward[to]! + reward
        }
      })
    }
    reached = after
  }
  return total
}

interface Reached {
  readonly probability: Float64Array
  readonly reward: Float64Array
}
