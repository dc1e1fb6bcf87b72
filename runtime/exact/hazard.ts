/** Sequences whose tokens carry a type and, up to the last possible position, a decision to stop there. */
import { checkGradient, checkLength, checkSymbols } from "./internal/checks.ts"
import { logSoftmax, sigmoid, softplus } from "./numbers.ts"
import type { Family, Row } from "./Policy.ts"

/**
 * Types with probabilities `softmax(theta[0..types-1])` and, after token `t = 1..horizon-1`, the end with probability
 * `h_t = sigmoid(theta[types + t - 1])`. A token's log-probability is `ln p(type)` plus `ln h_t` where the answer stops
 * at it, plus `ln(1 - h_t)` where it goes on or is cut off; at position `horizon` there is no decision. Answers have at
 * least one token. A sampled one of `horizon` tokens has finish `length`; `stop` means the same there.
 */
export const hazard = (types: number, horizon: number): Family => ({
  parameters: types + horizon - 1,
  at: (theta) => {
    checkLength(theta, types + horizon - 1)
    const typeLogProbs = logSoftmax(theta.subarray(0, types))
    const hazards = theta.slice(types).map(sigmoid)
    // The decision after each token; there is none at the last position.
    const stop = new Float64Array(horizon)
    const goOn = new Float64Array(horizon)
    for (let position = 0; position < horizon - 1; position++) {
      stop[position] = -softplus(-theta[types + position]!)
      goOn[position] = -softplus(theta[types + position]!)
    }
    /** The position at which a row stops by decision; -1 for none. */
    const stopOf = ({ finish, tokens }: Row) => {
      checkSymbols(tokens, types)
      if (tokens.length === 0 || tokens.length > horizon)
        throw new RangeError(`an answer has 1 to ${horizon} tokens, got ${tokens.length}`)
      return finish === "stop" ? tokens.length - 1 : -1
    }
    // Action `type` goes on (at the last position: is cut off), action `types + type` stops.
    const joint = Array.from({ length: horizon }, (_, position) =>
      Float64Array.from({ length: 2 * types }, (_, action) =>
        action < types
          ? typeLogProbs[action]! + goOn[position]!
          : position === horizon - 1
            ? Number.NEGATIVE_INFINITY
            : typeLogProbs[action - types]! + stop[position]!
      )
    )
    return {
      theta,
      process: {
        contexts: 1,
        horizon,
        states: 1,
        start: 0,
        logProbs: (_context, position) => joint[position]!,
        next: (position, action) => (action >= types ? "stop" : position === horizon - 1 ? "length" : 0),
        symbol: (action) => action % types
      },
      tokenLogProbs: (row) => {
        const end = stopOf(row)
        const logProbs = new Float64Array(row.tokens.length)
        for (let t = 0; t < logProbs.length; t++)
          logProbs[t] = typeLogProbs[row.tokens[t]!]! + (t === end ? stop[t]! : goOn[t]!)
        return logProbs
      },
      pull: (rows, gradients) => {
        const pulled = new Float64Array(types + horizon - 1)
        let total = 0
        rows.forEach((row, i) => {
          const end = stopOf(row)
          const gradient = checkGradient(gradients[i], row.tokens.length, i)
          for (let t = 0; t < gradient.length; t++) {
            const g = gradient[t]!
            pulled[row.tokens[t]!]! += g
            total += g
            if (t < horizon - 1) pulled[types + t]! += g * ((t === end ? 1 : 0) - hazards[t]!)
          }
        })
        for (let type = 0; type < types; type++) pulled[type]! -= total * Math.exp(typeLogProbs[type]!)
        return pulled
      }
    }
  }
})
