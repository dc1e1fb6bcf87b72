/** What every exact policy can do, whatever its family. */
import type { Rng } from "../../dsl/Rng.ts"

/**
 * An answer of a policy: for the families over enumerable responses one token, the response; else its symbols without
 * the end symbol. `finish` is `stop` where it ended by itself, `length` where it was cut off.
 */
export interface Row {
  readonly context: number
  readonly tokens: ReadonlyArray<number>
  readonly finish: "stop" | "length"
}

/**
 * A policy as a Markov process: at each position it is in a state and takes an action, which writes a symbol or ends
 * the answer. Families without contexts do not read `context`.
 */
export interface Process {
  /** Number of contexts; 1 where the family has none. */
  readonly contexts: number
  /** Most positions of an answer, the end symbol's included. */
  readonly horizon: number
  readonly states: number
  /** The state at position 0. */
  readonly start: number
  /** Log-probabilities of the actions in a state, nats; minus infinity for impossible ones. Not to be changed. */
  readonly logProbs: (context: number, position: number, state: number) => Float64Array
  /** The state after an action, or the answer's `finish` where it ends there. */
  readonly next: (position: number, action: number) => number | Row["finish"]
  /** The symbol that an action writes; undefined for the end symbol. */
  readonly symbol: (action: number) => number | undefined
}

/** One policy of a family: `theta` is not changed, and not to be changed. */
export interface Policy {
  readonly theta: Float64Array
  readonly process: Process
  /**
   * Log-probabilities of the row's tokens in nats; the end symbol, where the family has one and the row's finish is
   * `stop`, counts as one more token. RangeError for rows that the family cannot write.
   */
  readonly tokenLogProbs: (row: Row) => Float64Array
  /** `d/d theta` of the sum over rows and tokens of `gradients[row][token] * logProb`. */
  readonly pull: (rows: ReadonlyArray<Row>, gradients: ReadonlyArray<Float64Array>) => Float64Array
}

/** A set of policies with the same shape of parameters. `at` throws a RangeError for another number of them. */
export interface Family {
  /** Length of `theta`. */
  readonly parameters: number
  readonly at: (theta: Float64Array) => Policy
}

/** Log-probability of a whole row, the sum over its tokens. */
export const rowLogProb = (policy: Policy, row: Row): number =>
  policy.tokenLogProbs(row).reduce((sum, logProb) => sum + logProb, 0)

/** Log-probabilities of all responses to a context; RangeError for policies over sequences. */
export const responseLogProbs = (policy: Policy, context: number): Float64Array => {
  const { horizon, logProbs, start } = policy.process
  if (horizon !== 1) throw new RangeError("a policy over sequences has no list of responses")
  return logProbs(context, 0, start)
}

/** An answer drawn from the policy: position `t` uses draw `t` of the generator, which is to be the row's own. */
export const sampleRow = (policy: Policy, context: number, rng: Rng): Row => {
  const { horizon, logProbs, next, start, symbol } = policy.process
  const tokens: Array<number> = []
  let state = start
  for (let position = 0; position < horizon; position++) {
    const action = draw(logProbs(context, position, state), rng.uniform(position))
    const written = symbol(action)
    if (written !== undefined) tokens.push(written)
    const after = next(position, action)
    if (typeof after !== "number") return { context, tokens, finish: after }
    state = after
  }
  throw new RangeError("the process goes on beyond its horizon")
}

/** One answer to each context in turn; row `i` draws from fork `i`, so that rows do not depend on each other. */
export const sampleRows = (policy: Policy, contexts: ReadonlyArray<number>, rng: Rng): ReadonlyArray<Row> =>
  contexts.map((context, i) => sampleRow(policy, context, rng.fork(i)))

/** All answers to a context that have positive probability, with their log-probabilities; for small worlds. */
export const enumerateRows = (
  policy: Policy,
  context: number
): ReadonlyArray<{ readonly row: Row; readonly logProb: number }> => {
  const { logProbs, next, start, symbol } = policy.process
  const found: Array<{ readonly row: Row; readonly logProb: number }> = []
  const walk = (position: number, state: number, tokens: ReadonlyArray<number>, before: number): void =>
    logProbs(context, position, state).forEach((logProb, action) => {
      if (logProb === Number.NEGATIVE_INFINITY) return
      const written = symbol(action)
      const extended = written === undefined ? tokens : [...tokens, written]
      const after = next(position, action)
      if (typeof after === "number") walk(position + 1, after, extended, before + logProb)
      else found.push({ row: { context, tokens: extended, finish: after }, logProb: before + logProb })
    })
  walk(0, start, [], 0)
  return found
}

/** The action that a uniform number in [0, 1) selects. */
const draw = (logProbs: Float64Array, uniform: number): number => {
  let last = 0
  let sum = 0
  for (let action = 0; action < logProbs.length; action++) {
    const p = Math.exp(logProbs[action]!)
    if (p === 0) continue
    last = action
    sum += p
    if (uniform < sum) return action
  }
  return last
}
