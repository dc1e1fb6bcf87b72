/** Exact expectations under a policy in a context, by dynamic programming over positions and states. */

import { entropy as entropyOf, kl, type Numbers } from "./numbers.ts"
import type { Policy } from "./Policy.ts"

/** Expected number of symbols of an answer; the end symbol does not count. */
export const expectedLength = (policy: Policy, context: number): number =>
  accumulate(policy, context, (logProbs) => {
    let written = 0
    logProbs.forEach((logProb, action) => {
      if (policy.process.symbol(action) !== undefined) written += Math.exp(logProb)
    })
    return written
  })

/** Expected sum over the answer of `rewards[symbol]`; for single responses, their expected reward. */
export const expectedReward = (policy: Policy, context: number, rewards: Numbers): number =>
  accumulate(policy, context, (logProbs) => {
    let mean = 0
    logProbs.forEach((logProb, action) => {
      const symbol = policy.process.symbol(action)
      if (symbol !== undefined && logProb > Number.NEGATIVE_INFINITY) mean += Math.exp(logProb) * rewards[symbol]!
    })
    return mean
  })

/** Entropy of the answers in nats. */
export const policyEntropy = (policy: Policy, context: number): number => accumulate(policy, context, entropyOf)

/** `KL(policy || reference)` between distributions over whole answers, nats; both of one family, else a RangeError. */
export const policyKl = (policy: Policy, reference: Policy, context: number): number => {
  const { horizon, states } = policy.process
  if (reference.process.horizon !== horizon || reference.process.states !== states)
    throw new RangeError("the two policies belong to different families")
  return accumulate(policy, context, (logProbs, position, state) =>
    kl(logProbs, reference.process.logProbs(context, position, state))
  )
}

/** Mean over all contexts, each counting the same. */
export const overContexts = (policy: Policy, at: (context: number) => number): number => {
  const { contexts } = policy.process
  let sum = 0
  for (let context = 0; context < contexts; context++) sum += at(context)
  return sum / contexts
}

/** The expected sum over positions of a function of the distribution there. */
const accumulate = (
  policy: Policy,
  context: number,
  term: (logProbs: Float64Array, position: number, state: number) => number
): number => {
  const { horizon, logProbs, next, start, states } = policy.process
  let reached = new Float64Array(states)
  reached[start] = 1
  let total = 0
  for (let position = 0; position < horizon; position++) {
    const after = new Float64Array(states)
    reached.forEach((probability, state) => {
      if (probability === 0) return
      const distribution = logProbs(context, position, state)
      total += probability * term(distribution, position, state)
      distribution.forEach((logProb, action) => {
        const to = next(position, action)
        if (typeof to === "number") after[to]! += probability * Math.exp(logProb)
      })
    })
    reached = after
  }
  return total
}
