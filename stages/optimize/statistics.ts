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

/** `ln reference(y | x)`: the sum over the completion's tokens. */
export const sumReferenceLogProb = perRole((role) => X.sumTokens(X.logProbs(role, "reference")))

/** A statistic times a constant, e.g. the implicit reward `beta ln (policy / reference)`. */
export const scaled = (factor: number, statistic: Statistic): Statistic =>
  perRole((role) => X.mul(statistic(role), factor))

/** The implicit reward `beta ln (policy / reference)`, summed over the completion's tokens. */
export const implicitReward = (beta: number): Statistic => scaled(beta, sumLogRatio)

/** The chosen answer's lead: `statistic(chosen) - statistic(rejected)`. */
export const gap = (statistic: Statistic): X.Expression => X.sub(statistic("chosen"), statistic("rejected"))

/** The answers of a group: `answer0`, `answer1`, … */
export const group = (answers: number): ReadonlyArray<X.Role> => Array.from({ length: answers }, (_, i) => `answer${i}`)

/** A number that items carry for each answer: `winRateChosen` for the chosen one, `winRate0` for `answer0`. */
export const numberOf = (name: string, range: X.Range): Statistic =>
  perRole((role) => {
    const [own] = role.match(/(?<=^answer)\d+$/) ?? [role[0]!.toUpperCase() + role.slice(1)]
    return X.number(name + own, range)
  })

/** The mean over some answers of `(statistic - target)^2`. */
export const meanSquare = (roles: ReadonlyArray<X.Role>, statistic: Statistic, target: Statistic): X.Expression =>
  X.mean(roles.map((role) => X.square(X.sub(statistic(role), target(role)))))

/**
 * What the log-likelihood of supervised learning is divided by: by nothing, by the answer's own number of tokens, or by the
 * mean number of tokens of the batch's answers, so that the batch's mean is the mean over all its tokens.
 */
export type Normalization = "sum" | "sequenceMean" | "tokenMean"

const BY: Readonly<Record<Normalization, Statistic>> = {
  sum: sumLogProb,
  sequenceMean: meanLogProb,
  tokenMean: perRole((role) => X.div(sumLogProb(role), X.batchMean(X.length(role))))
}

/** `-ln policy(y | x)`, normalized. NaN where it is divided by no tokens. */
export const negativeLogLikelihood = (by: Normalization): Statistic => perRole((role) => X.neg(BY[by](role)))
