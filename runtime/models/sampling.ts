/** How the next token is drawn from the model's distribution. */
export interface Sampling {
  /** Divides the logits; 0 takes the likeliest token. */
  readonly temperature: number
  /** Keeps the `topK` likeliest tokens. All by default. */
  readonly topK?: number
  /** Keeps the smallest set of likeliest tokens with at least this much probability, after temperature and `topK`. */
  readonly topP?: number
}

/** `log(sum(exp(logits)))`, nats, float64: what a logit lacks to be a log-probability at temperature 1. */
export const logSumExp = (logits: Float32Array): number => {
  const highest = logits[argmax(logits)]!
  let total = 0
  for (let token = 0; token < logits.length; token++) total += Math.exp(logits[token]! - highest)
  return highest + Math.log(total)
}

/** The likeliest token; of equal ones the lowest id. */
export const argmax = (logits: Float32Array): number => {
  let best = 0
  for (let token = 1; token < logits.length; token++) if (logits[token]! > logits[best]!) best = token
  return best
}

/**
 * Draws a token by inverting the cumulative distribution at `u`, uniform in [0, 1).
 * **Details** The kept tokens are laid out in order of id, whatever their probability, so a small change of the logits moves
 * the outcome for few values of `u` only. Ties at the edge of `topK` and `topP` go to the lower id.
 */
export const draw = (logits: Float32Array, sampling: Sampling, u: number): number => {
  if (sampling.temperature === 0) return argmax(logits)
  const weights = support(logits, sampling)
  let total = 0
  for (let token = 0; token < weights.length; token++) total += weights[token]!
  const goal = u * total
  let cumulative = 0
  let last = 0
  for (let token = 0; token < weights.length; token++) {
    if (weights[token] === 0) continue
    cumulative += weights[token]!
    last = token
    if (cumulative > goal) return token
  }
  return last
}

/** Unnormalized probabilities after temperature, `topK` and `topP`; 0 outside the kept set. */
export const support = (logits: Float32Array, { temperature, topK, topP }: Sampling): Float64Array => {
  const highest = logits[argmax(logits)]!
  const weights = new Float64Array(logits.length)
  for (let token = 0; token < weights.length; token++)
    weights[token] = Math.exp((logits[token]! - highest) / temperature)
  if ((topK === undefined || topK >= weights.length) && (topP === undefined || topP >= 1)) return weights
  const order = Uint32Array.from(weights.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b)
  const candidates = order.subarray(0, topK ?? order.length)
  const kept = new Float64Array(weights.length)
  const goal = (topP ?? 1) * candidates.reduce((sum, token) => sum + weights[token]!, 0)
  let cumulative = 0
  for (const token of candidates) {
    kept[token] = weights[token]!
    cumulative += weights[token]!
    if (topP !== undefined && topP < 1 && cumulative >= goal) break
  }
  return kept
}
