/**
 * The language that objectives are written in: expressions over the named answers of an item, as plain data. One text of
 * a loss is computed on tensors when a language model trains, in float64 with its gradient where a world is solved
 * exactly, and tells by its leaves what must be given to it.
 */

/** The answer that an expression speaks of: `chosen`, `rejected`, or one of an item's `others`. */
export type Role = string

/** Whose log-probabilities: the policy that trains, or one that is frozen. `guide` is a second frozen one. */
export type Source = "policy" | "reference" | "guide"

/** Whether there is a value for each token of one role's answers, or one for each item. */
export type Extent = "token" | "item"

export type Unary = "neg" | "exp" | "expm1" | "log" | "softplus" | "sigmoid" | "relu" | "square" | "sqrt" | "abs"
export type Binary = "add" | "sub" | "mul" | "div" | "minimum" | "maximum" | "less"

/** The range that a number lies in, for generated inputs; `whole` where only whole numbers make sense. */
export interface Range {
  readonly minimum: number
  readonly maximum: number
  readonly whole?: boolean
}

export type Operation =
  | { readonly op: "logProbs"; readonly role: Role; readonly source: Source }
  | { readonly op: "position"; readonly role: Role }
  | { readonly op: "length"; readonly role: Role }
  | { readonly op: "head"; readonly role: Role; readonly index: number }
  | { readonly op: "number"; readonly name: string; readonly range: Range }
  | { readonly op: "constant"; readonly value: number }
  | { readonly op: Unary; readonly of: Expression }
  | { readonly op: Binary; readonly left: Expression; readonly right: Expression }
  /** Sum over the tokens of the role; an item without tokens gives 0. */
  | { readonly op: "sumTokens"; readonly of: Expression }
  /** The value, through which no gradient flows. */
  | { readonly op: "stopGradient"; readonly of: Expression }
  /** The mean over the whole batch, for each item. */
  | { readonly op: "batchMean"; readonly of: Expression }
  /** The batch's values in ascending order. */
  | { readonly op: "sorted"; readonly of: Expression }
  /** Exponential moving average over steps of the batch's mean, up to and with this step; carries no gradient. */
  | { readonly op: "movingMean"; readonly of: Expression; readonly momentum: number; readonly name: string }

/** `role` is that of the tokens where there is a value for each. */
export interface Expression {
  readonly operation: Operation
  readonly extent: Extent
  readonly role: Role | undefined
}

export type Operand = Expression | number

const make = (operation: Operation, role?: Role): Expression => ({
  operation,
  extent: role === undefined ? "item" : "token",
  role
})

/** Log-probability in nats of each token of the answer, the end-of-sequence token included where it counts. */
export const logProbs = (role: Role, source: Source = "policy"): Expression =>
  make({ op: "logProbs", role, source }, role)

/** The place of each token in its answer, from 0. */
export const position = (role: Role): Expression => make({ op: "position", role }, role)

/** How many tokens each answer has, the end-of-sequence token included where it counts. */
export const length = (role: Role): Expression => make({ op: "length", role })

/** Output `index` of the linear head on the hidden state of the answer's last token. */
export const head = (role: Role, index = 0): Expression => make({ op: "head", role, index })

/** A number that items carry by this name. */
export const number = (name: string, range: Range): Expression => make({ op: "number", name, range })

export const constant = (value: number): Expression => {
  if (!Number.isFinite(value)) throw new RangeError(`a constant must be finite, got ${value}`)
  return make({ op: "constant", value })
}

const expression = (operand: Operand): Expression => (typeof operand === "number" ? constant(operand) : operand)

const unary =
  (op: Unary) =>
  (operand: Operand): Expression => {
    const of = expression(operand)
    return make({ op, of }, of.role)
  }

const binary =
  (op: Binary) =>
  (a: Operand, b: Operand): Expression => {
    const [left, right] = [expression(a), expression(b)]
    const [mine, theirs] = [left.role, right.role]
    if (mine !== undefined && theirs !== undefined && mine !== theirs)
      throw new TypeError(`${op} of the tokens of ${mine} and of ${theirs}: tokens of two answers do not correspond`)
    return make({ op, left, right }, mine ?? theirs)
  }

export const neg = unary("neg")
export const exp = unary("exp")
/** `e^x - 1`. */
export const expm1 = unary("expm1")
export const log = unary("log")
/** `ln (1 + e^x)`, which neither overflows nor loses small values. */
export const softplus = unary("softplus")
export const sigmoid = unary("sigmoid")
/** `max(0, x)`; slope 0 at 0. */
export const relu = unary("relu")
export const square = unary("square")
export const sqrt = unary("sqrt")
/** Slope 0 at 0. */
export const abs = unary("abs")
export const add = binary("add")
export const sub = binary("sub")
export const mul = binary("mul")
export const div = binary("div")
/** Where both are equal the gradient goes to the left one; so it does in `maximum`. */
export const minimum = binary("minimum")
export const maximum = binary("maximum")
/** 1 where the left is less than the right, else 0. Carries no gradient. */
export const less = binary("less")

/** Sum over an answer's tokens. */
export const sumTokens = (of: Expression): Expression => {
  if (of.extent !== "token") throw new TypeError("sumTokens of an expression that has one value an item")
  return make({ op: "sumTokens", of })
}

export const stopGradient = (of: Expression): Expression => make({ op: "stopGradient", of }, of.role)

const ofItems = (what: string, of: Expression): Expression => {
  if (of.extent !== "item") throw new TypeError(`${what} of an expression that has a value for each token`)
  return of
}

export const batchMean = (of: Expression): Expression => make({ op: "batchMean", of: ofItems("batchMean", of) })

export const sorted = (of: Expression): Expression => make({ op: "sorted", of: ofItems("sorted", of) })

/** `m <- momentum m + (1 - momentum) mean(x)`, begun at the first batch's mean. `momentum` in [0, 1). */
export const movingMean = (name: string, of: Expression, momentum: number): Expression =>
  make({ op: "movingMean", of: ofItems("movingMean", of), momentum, name })

export const sum = (terms: ReadonlyArray<Operand>): Expression => terms.map(expression).reduce(add)

export const mean = (terms: ReadonlyArray<Operand>): Expression => div(sum(terms), terms.length)

/** `ln sum exp x_i`, whatever the size of the terms. */
export const logSumExp = (terms: ReadonlyArray<Expression>): Expression => {
  const peak = stopGradient(terms.reduce(maximum))
  return add(log(sum(terms.map((term) => exp(sub(term, peak))))), peak)
}

/** The expressions that an operation is made of, in order. */
export const operands = ({ operation }: Expression): ReadonlyArray<Expression> =>
  "left" in operation ? [operation.left, operation.right] : "of" in operation ? [operation.of] : []

/** Every expression below and with the given ones, each once, operands before what is made of them. */
export const inOrder = (roots: ReadonlyArray<Expression>): ReadonlyArray<Expression> => {
  const found = new Set<Expression>()
  const visit = (node: Expression): void => {
    if (found.has(node)) return
    operands(node).forEach(visit)
    found.add(node)
  }
  roots.forEach(visit)
  return [...found]
}
