/** Checks of what policies are given. */

/** RangeError unless the vector has as many entries as the family has parameters. */
export const checkLength = (theta: Float64Array, parameters: number): void => {
  if (theta.length !== parameters) throw new RangeError(`${theta.length} parameters, the family has ${parameters}`)
}

/** The gradient of row `index`; RangeError unless it has one entry per token. */
export const checkGradient = (gradient: Float64Array | undefined, tokens: number, index: number): Float64Array => {
  if (gradient?.length !== tokens)
    throw new RangeError(`row ${index} has ${tokens} tokens and ${gradient?.length ?? 0} gradients`)
  return gradient
}

/** RangeError for symbols outside 0..symbols-1. */
export const checkSymbols = (tokens: ReadonlyArray<number>, symbols: number): void => {
  for (const token of tokens)
    if (!(Number.isInteger(token) && token >= 0 && token < symbols))
      throw new RangeError(`symbol ${token} of ${symbols}`)
}
