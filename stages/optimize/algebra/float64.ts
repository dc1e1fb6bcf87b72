/** Expressions in float64, with their gradient by reverse accumulation: the reference, and what exact worlds train on. */
import { type Binary, type Expression, inOrder, operands, type Role, type Source, type Unary } from "./Expression.ts"
import { missing } from "./tensors.ts"

/** One role's answers: a row of token log-probabilities in nats for each item. */
export interface Answers {
  readonly logProbs: Readonly<Partial<Record<Source, ReadonlyArray<ArrayLike<number>>>>>
  /** The head's outputs for each item. */
  readonly heads?: ReadonlyArray<ArrayLike<number>>
}

export interface Items {
  readonly size: number
  readonly answers: Readonly<Record<Role, Answers>>
  readonly numbers: Readonly<Record<string, ArrayLike<number>>>
  /** Moving means so far, by name. */
  readonly state?: Readonly<Record<string, number>>
  /** What carries no gradient keeps the values that it has there: for finite differences. */
  readonly held?: Evaluated
}

/** What the loss depends on, changed by this much: gradients in the policy's log-probabilities and heads, by role. */
export interface Gradient {
  readonly logProbs: Readonly<Record<Role, ReadonlyArray<Float64Array>>>
  readonly heads: Readonly<Record<Role, ReadonlyArray<Float64Array>>>
}

export interface Evaluated {
  /** `[B]` for each root. */
  readonly values: ReadonlyArray<Float64Array>
  /** Moving means after this batch. */
  readonly state: Readonly<Record<string, number>>
  readonly valueOf: (node: Expression) => Float64Array | undefined
  /** The gradient of `sum_i cotangents[i] roots[0][i]`. */
  readonly gradient: (cotangents: ArrayLike<number>) => Gradient
}

/** Computes item expressions. */
export const evaluate = (roots: ReadonlyArray<Expression>, items: Items): Evaluated => {
  const order = inOrder(roots)
  const layouts = new Map<Role, Layout>()
  const layoutOf = (role: Role): Layout => {
    const known = layouts.get(role)
    if (known !== undefined) return known
    const made = layout(rowsOf(items, role, "policy"))
    layouts.set(role, made)
    return made
  }
  const values = new Map<Expression, Float64Array>()
  const state: Record<string, number> = { ...items.state }
  const sizeOf = (node: Expression) => (node.role === undefined ? items.size : layoutOf(node.role).total)
  /** The value of an operand at place `i` of an expression of the given role. */
  const at = (node: Expression, role: Role | undefined) => {
    if (role === undefined || node.extent === "token") return (i: number) => i
    const { itemOf } = layoutOf(role)
    return (i: number) => itemOf[i]!
  }

  const compute = (node: Expression): Float64Array => {
    const { operation, role } = node
    switch (operation.op) {
      case "constant":
        return new Float64Array(items.size).fill(operation.value)
      case "number": {
        const given = items.numbers[operation.name]
        if (given === undefined) throw missing(`the number ${operation.name}`)
        return Float64Array.from(given)
      }
      case "logProbs":
        return flat(rowsOf(items, operation.role, operation.source), layoutOf(operation.role))
      case "position": {
        const { starts, itemOf, total } = layoutOf(operation.role)
        return Float64Array.from({ length: total }, (_, i) => i - starts[itemOf[i]!]!)
      }
      case "length":
        return Float64Array.from(layoutOf(operation.role).lengths)
      case "head": {
        const outputs = items.answers[operation.role]?.heads
        if (outputs === undefined) throw missing(`a head's outputs for ${operation.role}`)
        return Float64Array.from(outputs, (output) => output[operation.index]!)
      }
      case "sumTokens": {
        const sums = new Float64Array(items.size)
        const { itemOf } = layoutOf(operation.of.role!)
        values.get(operation.of)!.forEach((x, i) => {
          sums[itemOf[i]!] = sums[itemOf[i]!]! + x
        })
        return sums
      }
      case "stopGradient":
        return values.get(operation.of)!
      case "batchMean":
        return new Float64Array(items.size).fill(meanOf(values.get(operation.of)!))
      case "sorted":
        return values.get(operation.of)!.slice().sort()
      case "movingMean": {
        const now = meanOf(values.get(operation.of)!)
        const before = items.state?.[operation.name]
        const moved = before === undefined ? now : operation.momentum * before + (1 - operation.momentum) * now
        state[operation.name] = moved
        return new Float64Array(items.size).fill(moved)
      }
      default: {
        const result = new Float64Array(sizeOf(node))
        if ("left" in operation) {
          const [l, r] = [at(operation.left, role), at(operation.right, role)]
          const [a, b] = [values.get(operation.left)!, values.get(operation.right)!]
          const { value } = BINARY[operation.op]
          for (let i = 0; i < result.length; i++) result[i] = value(a[l(i)]!, b[r(i)]!)
        } else {
          const { value } = UNARY[operation.op]
          const of = values.get(operation.of)!
          for (let i = 0; i < result.length; i++) result[i] = value(of[i]!)
        }
        return result
      }
    }
  }
  for (const node of order) {
    const isHeld = items.held !== undefined && WITHOUT_GRADIENT.has(node.operation.op)
    values.set(node, isHeld ? items.held.valueOf(node)! : compute(node))
  }

  const gradient = (cotangents: ArrayLike<number>): Gradient => {
    const adjoints = new Map<Expression, Float64Array>([[roots[0]!, Float64Array.from(cotangents)]])
    const adjointOf = (node: Expression) => {
      const known = adjoints.get(node)
      if (known !== undefined) return known
      const fresh = new Float64Array(values.get(node)!.length)
      adjoints.set(node, fresh)
      return fresh
    }
    const active = moving(order)
    const logProbs = emptyRows(items, (role) => layoutOf(role).lengths)
    const heads = emptyRows(items, (role) => items.answers[role]!.heads?.map(({ length }) => length) ?? [])
    for (const node of order.toReversed()) {
      const adjoint = adjoints.get(node)
      if (adjoint === undefined || !active.has(node)) continue
      const { operation, role } = node
      switch (operation.op) {
        case "constant":
        case "number":
        case "position":
        case "length":
        case "stopGradient":
        case "movingMean":
        case "less":
          break
        case "logProbs": {
          const { itemOf, starts } = layoutOf(operation.role)
          adjoint.forEach((x, i) => {
            accumulate(logProbs[operation.role]![itemOf[i]!]!, i - starts[itemOf[i]!]!, x)
          })
          break
        }
        case "head":
          adjoint.forEach((x, i) => {
            accumulate(heads[operation.role]![i]!, operation.index, x)
          })
          break
        case "sumTokens": {
          const { itemOf } = layoutOf(operation.of.role!)
          const below = adjointOf(operation.of)
          below.forEach((_, i) => {
            accumulate(below, i, adjoint[itemOf[i]!]!)
          })
          break
        }
        case "batchMean": {
          const below = adjointOf(operation.of)
          const share = adjoint.reduce((sum, x) => sum + x, 0) / below.length
          below.forEach((_, i) => {
            accumulate(below, i, share)
          })
          break
        }
        case "sorted": {
          const below = adjointOf(operation.of)
          ranksOf(values.get(operation.of)!).forEach((item, rank) => {
            accumulate(below, item, adjoint[rank]!)
          })
          break
        }
        default:
          if ("left" in operation) {
            const [l, r] = [at(operation.left, role), at(operation.right, role)]
            const [a, b] = [values.get(operation.left)!, values.get(operation.right)!]
            const { slopes } = BINARY[operation.op]
            const toLeft = active.has(operation.left) ? adjointOf(operation.left) : undefined
            const toRight = active.has(operation.right) ? adjointOf(operation.right) : undefined
            for (let i = 0; i < adjoint.length; i++) {
              if (adjoint[i] === 0) continue
              const [da, db] = slopes(a[l(i)]!, b[r(i)]!)
              if (toLeft !== undefined) accumulate(toLeft, l(i), adjoint[i]! * da)
              if (toRight !== undefined) accumulate(toRight, r(i), adjoint[i]! * db)
            }
          } else {
            const { slope } = UNARY[operation.op]
            const [of, result, below] = [values.get(operation.of)!, values.get(node)!, adjointOf(operation.of)]
            for (let i = 0; i < adjoint.length; i++)
              if (adjoint[i] !== 0) accumulate(below, i, adjoint[i]! * slope(of[i]!, result[i]!))
          }
      }
    }
    return { logProbs, heads }
  }
  return { values: roots.map((root) => values.get(root)!), state, gradient, valueOf: (node) => values.get(node) }
}

/** The expressions that change with the policy: a gradient goes nowhere else. */
const moving = (order: ReadonlyArray<Expression>): ReadonlySet<Expression> => {
  const found = new Set<Expression>()
  for (const node of order) {
    const { operation } = node
    if (WITHOUT_GRADIENT.has(operation.op)) continue
    const isSource = operation.op === "head" || (operation.op === "logProbs" && operation.source === "policy")
    if (isSource || operands(node).some((below) => found.has(below))) found.add(node)
  }
  return found
}

/** Where the tokens of each item lie when rows stand behind one another. */
interface Layout {
  readonly lengths: ReadonlyArray<number>
  readonly starts: Int32Array
  readonly itemOf: Int32Array
  readonly total: number
}

const layout = (rows: ReadonlyArray<ArrayLike<number>>): Layout => {
  const lengths = rows.map(({ length }) => length)
  const starts = new Int32Array(rows.length)
  let total = 0
  lengths.forEach((length, i) => {
    starts[i] = total
    total += length
  })
  const itemOf = new Int32Array(total)
  lengths.forEach((length, i) => {
    itemOf.fill(i, starts[i]!, starts[i]! + length)
  })
  return { lengths, starts, itemOf, total }
}

const rowsOf = ({ answers }: Items, role: Role, source: Source): ReadonlyArray<ArrayLike<number>> => {
  const rows = answers[role]?.logProbs[source]
  if (rows === undefined) throw missing(`the ${source}'s log-probabilities of ${role}`)
  return rows
}

const flat = (rows: ReadonlyArray<ArrayLike<number>>, { lengths, starts, total }: Layout): Float64Array => {
  const values = new Float64Array(total)
  rows.forEach((row, i) => {
    if (row.length !== lengths[i])
      throw new RangeError(`item ${i}: ${row.length} log-probabilities of ${lengths[i]} tokens`)
    values.set(row, starts[i]!)
  })
  return values
}

const emptyRows = (
  { answers }: Items,
  lengths: (role: Role) => ReadonlyArray<number>
): Record<Role, ReadonlyArray<Float64Array>> =>
  Object.fromEntries(
    Object.keys(answers).map((role) => [role, lengths(role).map((length) => new Float64Array(length))])
  )

const accumulate = (into: Float64Array, at: number, value: number): void => {
  into[at] = into[at]! + value
}

const meanOf = (values: Float64Array): number => values.reduce((sum, x) => sum + x, 0) / values.length

/** The items in ascending order of their values, equal ones in the order of the batch. */
const ranksOf = (values: Float64Array): ReadonlyArray<number> =>
  Array.from(values, (_, i) => i).sort((a, b) => values[a]! - values[b]! || a - b)

const WITHOUT_GRADIENT: ReadonlySet<string> = new Set(["stopGradient", "movingMean", "less"])

const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
const sigmoid = (x: number) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)))

/** `slope(x, y)`: the derivative at `x`, where the value is `y`. */
const UNARY: Readonly<
  Record<Unary, { readonly value: (x: number) => number; readonly slope: (x: number, y: number) => number }>
> = {
  neg: { value: (x) => -x, slope: () => -1 },
  exp: { value: Math.exp, slope: (_, y) => y },
  expm1: { value: Math.expm1, slope: (x) => Math.exp(x) },
  log: { value: Math.log, slope: (x) => 1 / x },
  softplus: { value: softplus, slope: sigmoid },
  sigmoid: { value: sigmoid, slope: (x) => sigmoid(x) * sigmoid(-x) },
  relu: { value: (x) => Math.max(0, x), slope: (x) => (x > 0 ? 1 : 0) },
  square: { value: (x) => x * x, slope: (x) => 2 * x },
  sqrt: { value: Math.sqrt, slope: (_, y) => 0.5 / y },
  abs: { value: Math.abs, slope: Math.sign }
}

const BINARY: Readonly<
  Record<
    Binary,
    {
      readonly value: (a: number, b: number) => number
      readonly slopes: (a: number, b: number) => readonly [number, number]
    }
  >
> = {
  add: { value: (a, b) => a + b, slopes: () => [1, 1] },
  sub: { value: (a, b) => a - b, slopes: () => [1, -1] },
  mul: { value: (a, b) => a * b, slopes: (a, b) => [b, a] },
  div: { value: (a, b) => a / b, slopes: (a, b) => [1 / b, -a / (b * b)] },
  minimum: { value: Math.min, slopes: (a, b) => (a <= b ? [1, 0] : [0, 1]) },
  maximum: { value: Math.max, slopes: (a, b) => (a >= b ? [1, 0] : [0, 1]) },
  less: { value: (a, b) => (a < b ? 1 : 0), slopes: () => [0, 0] }
}
