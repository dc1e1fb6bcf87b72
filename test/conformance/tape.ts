/**
 * Scalars in float64 that remember how they were made: the reference of the conformance suite. From one definition of an
 * operation come its value, its gradient, and for both a bound on what float32 arithmetic may be off by.
 * **Details** Every scalar is a node with edges to what it was made of. An edge holds the local derivative and how far that
 * derivative may be off. Bounds are a running error analysis to first order (Higham 2002, Accuracy and Stability of
 * Numerical Algorithms, chapter 3): each step of arithmetic adds its own rounding and passes on its operands'. Inputs are
 * taken to be exact.
 */

/** Unit roundoff of float32. */
export const ROUNDOFF = 2 ** -24

/**
 * How exactly a device computes the functions that arithmetic standards leave open: the absolute error of `f(x) = y`, by the
 * name of `f`, or of its derivative as `slope of f`. What is not named is within four units of roundoff of `y`.
 */
export type Accuracy = Readonly<Record<string, (x: number, y: number) => number>>

/** A scalar: the number of its node. */
export type Id = number

export interface Tape {
  readonly accuracy: Accuracy
  readonly values: Array<number>
  /** Bound on the absolute error of each value in float32. */
  readonly bounds: Array<number>
  /** The edges of node `i` are those from `starts[i]` to `starts[i + 1]`. */
  readonly starts: Array<number>
  readonly parents: Array<Id>
  readonly locals: Array<number>
  readonly slacks: Array<number>
}

export const make = (accuracy: Accuracy = {}): Tape => ({
  accuracy,
  values: [],
  bounds: [],
  starts: [0],
  parents: [],
  locals: [],
  slacks: []
})

const edge = (tape: Tape, parent: Id, local: number, slack: number): void => {
  tape.parents.push(parent)
  tape.locals.push(local)
  tape.slacks.push(slack)
}

/** Closes the node whose edges have been added. */
const close = (tape: Tape, value: number, bound: number): Id => {
  tape.values.push(value)
  tape.bounds.push(bound)
  tape.starts.push(tape.parents.length)
  return tape.values.length - 1
}

/** An input, a constant, or a number that a device computes on the side to within `bound`. */
export const leaf = (tape: Tape, value: number, bound = 0): Id => close(tape, value, bound)

/** `weights . terms` with constant weights (all 1 by default), as a sum of products in any order. */
export const sum = (tape: Tape, terms: ReadonlyArray<Id>, weights?: ReadonlyArray<number>): Id => {
  let value = 0
  let size = 0
  let inherited = 0
  for (let i = 0; i < terms.length; i++) {
    const weight = weights ? weights[i]! : 1
    const term = weight * tape.values[terms[i]!]!
    value += term
    size += Math.abs(term)
    inherited += Math.abs(weight) * tape.bounds[terms[i]!]!
    edge(tape, terms[i]!, weight, weights ? 2 * ROUNDOFF * Math.abs(weight) : 0)
  }
  return close(tape, value, inherited + rounding(terms.length) * size)
}

/**
 * Roundoff of a sum of `n` terms, relative to the sum of their sizes: the worst case is `n - 1` units; rounding errors of
 * different signs make it the root of that, of which four are allowed.
 */
const rounding = (n: number): number => ROUNDOFF * Math.min(n, 4 * Math.sqrt(n))

/** Inner product of two lists of scalars, summed in any order. */
export const dot = (tape: Tape, a: ReadonlyArray<Id>, b: ReadonlyArray<Id>): Id => {
  let value = 0
  let size = 0
  let inherited = 0
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [tape.values[a[i]!]!, tape.values[b[i]!]!]
    const [dx, dy] = [tape.bounds[a[i]!]!, tape.bounds[b[i]!]!]
    value += x * y
    size += Math.abs(x * y)
    inherited += Math.abs(x) * dy + Math.abs(y) * dx + dx * dy
    edge(tape, a[i]!, y, dy)
    edge(tape, b[i]!, x, dx)
  }
  return close(tape, value, inherited + rounding(a.length) * size)
}

export const multiply = (tape: Tape, a: Id, b: Id): Id => dot(tape, [a], [b])

/** A function of one scalar and its derivative, which may use the value. */
export interface Unary {
  readonly name: string
  readonly value: (x: number) => number
  readonly slope: (x: number, y: number) => number
}

export const apply = (tape: Tape, { name, slope, value }: Unary, a: Id): Id => {
  const x = tape.values[a]!
  const y = value(x)
  const dx = tape.bounds[a]!
  const local = slope(x, y)
  const own = (tape.accuracy[name] ?? fourUnits)(x, y)
  const inherited =
    dx === 0 ? 0 : Math.max(Math.abs(local) * dx, Math.abs(value(x + dx) - y), Math.abs(value(x - dx) - y))
  const bound = (Number.isFinite(inherited) ? inherited : Math.abs(local) * dx) + own
  const moved = [slope(x + dx, y), slope(x - dx, y), slope(x, y + bound), slope(x, y - bound)]
  const slack = moved.reduce((most, other) => {
    const change = Math.abs(other - local)
    return Number.isFinite(change) ? Math.max(most, change) : most
  }, 0)
  const computed = (tape.accuracy[`slope of ${name}`] ?? fourUnits)(x, local)
  edge(tape, a, local, slack + computed)
  return close(tape, y, bound)
}

const fourUnits = (_: number, y: number): number => 4 * ROUNDOFF * Math.abs(y)

/** `base ^ exponent` for a positive base, or a whole constant exponent. */
export const power = (tape: Tape, base: Id, exponent: Id): Id => {
  const [x, n] = [tape.values[base]!, tape.values[exponent]!]
  const [dx, dn] = [tape.bounds[base]!, tape.bounds[exponent]!]
  const y = x ** n
  const toBase = n * x ** (n - 1)
  const toExponent = x > 0 ? y * Math.log(x) : 0
  const own = (size: number) =>
    tape.accuracy["pow"] ? tape.accuracy["pow"](x, n) * Math.abs(size) : 4 * ROUNDOFF * Math.abs(size)
  edge(tape, base, toBase, 2 * own(toBase) + Math.abs(n * (n - 1) * x ** (n - 2)) * dx)
  edge(tape, exponent, toExponent, 2 * own(toExponent) + fourUnits(0, y))
  return close(tape, y, Math.abs(toBase) * dx + Math.abs(toExponent) * dn + own(y))
}

/** Derivatives of `slopes . outputs` by every node, and bounds on their errors in float32. */
export const backward = (
  tape: Tape,
  outputs: ReadonlyArray<Id>,
  slopes: ArrayLike<number>
): { readonly values: Float64Array; readonly bounds: Float64Array } => {
  const values = new Float64Array(tape.values.length)
  const bounds = new Float64Array(tape.values.length)
  const sizes = new Float64Array(tape.values.length)
  outputs.forEach((id, i) => {
    values[id]! += slopes[i]!
    sizes[id]! += Math.abs(slopes[i]!)
    if (sizes[id]! > Math.abs(slopes[i]!)) bounds[id] = 2 * ROUNDOFF * sizes[id]!
  })
  for (let id = tape.values.length - 1; id >= 0; id--) {
    const adjoint = values[id]!
    const bound = bounds[id]!
    if (adjoint === 0 && bound === 0) continue
    for (let at = tape.starts[id]!; at < tape.starts[id + 1]!; at++) {
      const parent = tape.parents[at]!
      const local = tape.locals[at]!
      values[parent]! += local * adjoint
      bounds[parent]! +=
        Math.abs(local) * bound +
        tape.slacks[at]! * (Math.abs(adjoint) + bound) +
        2 * ROUNDOFF * Math.abs(local * adjoint)
    }
  }
  return { values, bounds }
}
