/** Expressions on tensors of the current device. */
import * as tf from "@tensorflow/tfjs"
import {
  type Binary,
  type Expression,
  inOrder,
  type Operation,
  type Role,
  type Source,
  type Unary
} from "./Expression.ts"

/** One role's answers: `[B, T]` log-probabilities in nats, 0 where `mask` is 0; `heads` is `[B, outputs]`. */
export interface Answers {
  readonly mask: tf.Tensor2D
  readonly position?: tf.Tensor2D
  readonly logProbs: Readonly<Partial<Record<Source, tf.Tensor2D>>>
  readonly heads?: tf.Tensor2D
}

/** A batch of B items. */
export interface Items {
  readonly size: number
  readonly answers: Readonly<Record<Role, Answers>>
  /** `[B]` each. */
  readonly numbers: Readonly<Record<string, tf.Tensor1D>>
}

/** An expression was not given something that it reads. */
export const missing = (what: string): TypeError => new TypeError(`the objective reads ${what}, but was given none`)

/**
 * Values `[B]` of item expressions, differentiable in the policy's log-probabilities and heads. Throws for expressions
 * that depend on the batch around an item: a micro-batch does not know it (see `float64`).
 */
export const onTensors = (roots: ReadonlyArray<Expression>, items: Items): ReadonlyArray<tf.Tensor1D> => {
  const values = new Map<Expression, tf.Tensor | number>()
  for (const node of inOrder(roots)) values.set(node, compute(node, items, values))
  return roots.map((root) => {
    const value = values.get(root)!
    return typeof value === "number" ? tf.fill<tf.Rank.R1>([items.size], value) : (value as tf.Tensor1D)
  })
}

type Values = ReadonlyMap<Expression, tf.Tensor | number>

const compute = ({ operation, role }: Expression, items: Items, values: Values): tf.Tensor | number => {
  switch (operation.op) {
    case "constant":
      return operation.value
    case "number":
      return items.numbers[operation.name] ?? fail(`the number ${operation.name}`)
    case "logProbs":
      return (
        answersOf(items, operation.role).logProbs[operation.source] ??
        fail(`the ${operation.source}'s log-probabilities of ${operation.role}`)
      )
    case "position":
      return answersOf(items, operation.role).position ?? fail(`positions of ${operation.role}`)
    case "length":
      return tf.sum(answersOf(items, operation.role).mask, 1)
    case "head": {
      const outputs = answersOf(items, operation.role).heads ?? fail(`a head's outputs for ${operation.role}`)
      return tf.reshape(tf.slice(outputs, [0, operation.index], [items.size, 1]), [items.size])
    }
    case "sumTokens": {
      const of = values.get(operation.of)!
      return tf.sum(tf.mul(of, answersOf(items, operation.of.role!).mask), 1)
    }
    case "stopGradient": {
      const of = values.get(operation.of)!
      return typeof of === "number" ? of : withoutGradient(of)
    }
    case "batchMean":
    case "sorted":
    case "movingMean":
      throw new TypeError(`${operation.op} needs the whole batch`)
    default: {
      if ("left" in operation) {
        const [left, right] = [operation.left, operation.right].map((side) => columns(side, role, values.get(side)!))
        return typeof left === "number" && typeof right === "number"
          ? onNumbers(operation, left, right)
          : BINARY[operation.op](tensor(left!), tensor(right!))
      }
      const of = values.get(operation.of)!
      return typeof of === "number" ? numberOf(operation.op, of) : UNARY[operation.op](of)
    }
  }
}

const answersOf = (items: Items, role: Role): Answers => items.answers[role] ?? fail(`the answers ${role}`)

const fail = (what: string): never => {
  throw missing(what)
}

/** A value of items stands for each of their tokens where it meets values of tokens. */
const columns = (side: Expression, role: Role | undefined, value: tf.Tensor | number): tf.Tensor | number =>
  role === undefined || side.extent === "token" || typeof value === "number" ? value : tf.expandDims(value, 1)

const tensor = (value: tf.Tensor | number): tf.Tensor => (typeof value === "number" ? tf.scalar(value) : value)

const onNumbers = ({ op }: Extract<Operation, { readonly left: Expression }>, a: number, b: number): number =>
  ({
    add: a + b,
    sub: a - b,
    mul: a * b,
    div: a / b,
    minimum: Math.min(a, b),
    maximum: Math.max(a, b),
    less: a < b ? 1 : 0
  })[op]

const numberOf = (op: Unary, x: number): number =>
  ({
    neg: -x,
    exp: Math.exp(x),
    expm1: Math.expm1(x),
    log: Math.log(x),
    softplus: Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    sigmoid: 1 / (1 + Math.exp(-x)),
    relu: Math.max(0, x),
    square: x * x,
    sqrt: Math.sqrt(x),
    abs: Math.abs(x)
  })[op]

const withoutGradient = tf.customGrad((x) => {
  const input = x as tf.Tensor
  return { value: tf.clone(input), gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy) }
})

const UNARY: Readonly<Record<Unary, (x: tf.Tensor) => tf.Tensor>> = {
  neg: (x) => tf.neg(x),
  exp: (x) => tf.exp(x),
  expm1: (x) => tf.expm1(x),
  log: (x) => tf.log(x),
  softplus: (x) => tf.softplus(x),
  sigmoid: (x) => tf.sigmoid(x),
  relu: (x) => tf.relu(x),
  square: (x) => tf.square(x),
  sqrt: (x) => tf.sqrt(x),
  abs: (x) => tf.abs(x)
}

/**
 * `minimum` and `maximum` by selection: their own gradients are wrong where a side is broadcast. Comparisons have no
 * gradient in tfjs, not even 0.
 */
const BINARY: Readonly<Record<Binary, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor>> = {
  add: (a, b) => tf.add(a, b),
  sub: (a, b) => tf.sub(a, b),
  mul: (a, b) => tf.mul(a, b),
  div: (a, b) => tf.div(a, b),
  minimum: (a, b) => selected(compared(tf.lessEqual)(a, b), a, b),
  maximum: (a, b) => selected(compared(tf.greaterEqual)(a, b), a, b),
  less: (a, b) => compared(tf.less)(a, b)
}

const compared = (comparison: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor) =>
  tf.customGrad((a, b) => ({
    value: tf.cast(comparison(a as tf.Tensor, b as tf.Tensor), "float32"),
    gradFunc: () => [tf.zerosLike(a as tf.Tensor), tf.zerosLike(b as tf.Tensor)]
  }))

const selected = (first: tf.Tensor, a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
  tf.add(tf.mul(first, a), tf.mul(tf.sub(1, first), b))
