/** What a method sums up an answer with: one value for each item, in nats (a token, for the means). */
import * as X from "./algebra/Expression.ts"

export type Statistic = (role: X.Role) => X.Expression

/** A statistic is one expression for each role, however often it is asked for, so that it is computed once. */
export const perRole = (make: Statistic): Statistic => {
  const made = new Map<X.Role, X.Expression>()
  return (role) => {
    const known = made.get(role) ?? make(role)
    made.set(role, known)
    return known
  }
}

/** `ln policy(y_t) - ln reference(y_t)` of each token. */
export const tokenLogRatio = perRole((role) => X.sub(X.logProbs(role), X.logProbs(role, "reference")))

/** `ln policy(y | x)`: the sum over the completion's tokens. */
export const sumLogProb = perRole((role) => X.sumTokens(X.logProbs(role)))

/** `ln policy(y | x) / |y|`: the mean over the completion's tokens. NaN for a completion without tokens. */
export const meanLogProb = perRole((role) => X.div(sumLogProb(role), X.length(role)))

/** `ln policy(y | x) - ln reference(y | x)`: the sum over the completion's tokens. */
export const sumLogRatio = perRole((role) => X.sumTokens(tokenLogRatio(role)))

/** `(ln policy(y | x) - ln reference(y | x)) / |y|`. NaN for a completion without tokens. */
export const meanLogRatio = perRole((role) => X.div(sumLogRatio(role), X.length(role)))

/** A statistic times a constant, e.g. the implicit reward `beta ln (policy / reference)`. */
export const scaled = (factor: number, statistic: Statistic): Statistic =>
  perRole((role) => X.mul(statistic(role), factor))

/** The chosen answer's lead: `statistic(chosen) - statistic(rejected)`. */
export const gap = (statistic: Statistic): X.Expression => X.sub(statistic("chosen"), statistic("rejected"))
