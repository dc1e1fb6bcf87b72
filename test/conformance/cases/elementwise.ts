/** One element in, one out: functions, arithmetic with broadcasting, comparisons, casts. */
import * as tf from "@tensorflow/tfjs"
import { bool, type Case, fixed, float, type Input, int } from "../Case.ts"
import type { Draw } from "../draw.ts"
import * as O from "../oracle.ts"

const anyShape = (draw: Draw) => draw.shape(draw.int(0, 4))
const wide = (draw: Draw) => () => draw.real(-6, 6)
/** Over several orders of magnitude. */
const above0 = (draw: Draw) => () => Math.fround(Math.exp(draw.real(-6, 6)))

type Values = (draw: Draw) => () => number

const functions: Readonly<Record<O.Function, readonly [run: (x: tf.Tensor) => tf.Tensor, values: Values]>> = {
  neg: [tf.neg, wide],
  abs: [tf.abs, wide],
  square: [tf.square, wide],
  sqrt: [tf.sqrt, above0],
  rsqrt: [tf.rsqrt, above0],
  reciprocal: [tf.reciprocal, (draw) => () => (draw.flag() ? 1 : -1) * above0(draw)()],
  exp: [tf.exp, (draw) => () => draw.real(-20, 20)],
  expm1: [tf.expm1, (draw) => () => Math.fround(draw.real(-4, 4) * 10 ** -draw.int(0, 4))],
  log: [tf.log, above0],
  log1p: [tf.log1p, (draw) => () => Math.fround(draw.real(-0.9, 8) * 10 ** -draw.int(0, 4))],
  sin: [tf.sin, wide],
  cos: [tf.cos, wide],
  tanh: [tf.tanh, (draw) => () => Math.fround(draw.real(-6, 6) * 10 ** -draw.int(0, 3))],
  sigmoid: [tf.sigmoid, (draw) => () => Math.fround(draw.real(-40, 40) / draw.pick([1, 5, 40]))],
  softplus: [tf.softplus, (draw) => () => Math.fround(draw.real(-40, 40) * 10 ** -draw.int(0, 3))],
  relu: [tf.relu, wide],
  relu6: [tf.relu6, (draw) => () => draw.real(-4, 10)],
  elu: [tf.elu, wide],
  erf: [tf.erf, (draw) => () => draw.real(-4, 4)],
  sign: [tf.sign, wide],
  floor: [tf.floor, wide],
  ceil: [tf.ceil, wide],
  round: [tf.round, (draw) => () => (draw.flag() ? draw.int(-9, 9) / 2 : wide(draw)())]
}

/** A shape that broadcasts with another: axes of one, and axes left out in front. */
const partner = (draw: Draw, shape: ReadonlyArray<number>) =>
  shape.map((length) => (draw.int(0, 3) === 0 ? 1 : length)).slice(draw.int(0, 2) === 0 ? draw.int(0, shape.length) : 0)

const broadcast = (draw: Draw): readonly [ReadonlyArray<number>, ReadonlyArray<number>] => {
  const shape = anyShape(draw)
  const other = partner(draw, shape)
  return draw.flag() ? [shape, other] : [other, shape]
}

const binary = (
  name: string,
  run: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  oracle: (a: O.Arr, b: O.Arr) => O.Arr,
  values: readonly [Values | undefined, Values | undefined] = [undefined, undefined]
): Case => ({
  name,
  gradient: true,
  sample: (draw) => {
    const shapes = broadcast(draw)
    const inputs = shapes.map((shape, i) => float(draw, shape, values[i]?.(draw)))
    return { inputs, attributes: {}, run, oracle }
  }
})

const apart: Values = (draw) => () => (draw.flag() ? 1 : -1) * draw.real(0.2, 5)

/** On small whole numbers, so that ties and zeros are common; int32 and float32, or bool. */
const discrete = (
  name: string,
  run: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  oracle: (a: O.Arr, b: O.Arr) => O.Arr,
  kinds: ReadonlyArray<"int32" | "float32" | "bool">,
  low = -3
): Case => ({
  name,
  gradient: false,
  sample: (draw) => {
    const dtype = draw.pick(kinds)
    const one = (shape: ReadonlyArray<number>, low: number): Input =>
      dtype === "bool" ? bool(draw, shape) : { ...int(draw, shape, low, 3), dtype }
    const [a, b] = broadcast(draw)
    return { inputs: [one(a, -3), one(b, low)], attributes: { dtype }, run, oracle }
  }
})

const truth = (f: (a: number, b: number) => boolean) => O.exactly((a, b) => (f(a, b) ? 1 : 0), "bool")
const numbers = ["int32", "float32"] as const

const cast = (from: O.DType, to: O.DType): Case => ({
  name: `cast ${from} to ${to}`,
  gradient: from === "float32" && to === "float32",
  sample: (draw) => {
    const shape = anyShape(draw)
    const input =
      from === "bool"
        ? bool(draw, shape)
        : from === "int32"
          ? int(draw, shape, -300, 300)
          : float(draw, shape, () => (draw.int(0, 3) === 0 ? 0 : draw.real(-300, 300)))
    const zeroed =
      from === "int32" ? { ...input, values: Array.from(input.values, (x) => (x % 3 === 0 ? 0 : x)) } : input
    return { inputs: [zeroed], attributes: {}, run: (x: tf.Tensor) => tf.cast(x, to), oracle: (x) => O.cast(x, to) }
  }
})

const one = (name: string, values: Values, run: (x: tf.Tensor) => tf.Tensor, oracle: (x: O.Arr) => O.Arr): Case => ({
  name,
  gradient: true,
  sample: (draw) => ({ inputs: [float(draw, anyShape(draw), values(draw))], attributes: {}, run, oracle })
})

const SQRT_2_PI = Math.sqrt(2 / Math.PI)

export const cases: ReadonlyArray<Case> = [
  ...Object.entries(functions).map(
    ([name, [run, values]]): Case => one(name, values, run, O.unary(name as O.Function))
  ),
  one(
    "silu",
    wide,
    (x) => tf.mul(x, tf.sigmoid(x)),
    (x) => O.mul(x, O.sigmoid(x))
  ),
  one(
    "gelu by erf",
    wide,
    (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)),
    (x) => O.mul(O.affine(x, 0.5), O.affine(O.unary("erf")(O.affine(x, Math.SQRT1_2)), 1, 1))
  ),
  one(
    "gelu by tanh",
    wide,
    (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(tf.mul(tf.add(x, tf.mul(tf.pow(x, 3), 0.044715)), SQRT_2_PI)), 1)),
    (x) => {
      const cube = O.mul(O.square(x), x)
      return O.mul(
        O.affine(x, 0.5),
        O.affine(O.unary("tanh")(O.affine(O.add(x, O.affine(cube, 0.044715)), SQRT_2_PI)), 1, 1)
      )
    }
  ),
  one(
    "log of sigmoid, as -softplus(-x)",
    wide,
    (x) => tf.neg(tf.softplus(tf.neg(x))),
    (x) => O.neg(O.softplus(O.neg(x)))
  ),
  one(
    "log of sigmoid of an intermediate",
    wide,
    (x) => tf.logSigmoid(tf.mul(x, 2)),
    (x) => O.neg(O.softplus(O.affine(x, -2)))
  ),
  one(
    "leakyRelu",
    wide,
    (x) => tf.leakyRelu(x, 0.1),
    (x) => O.leakyRelu(x, 0.1)
  ),
  {
    name: "clipByValue",
    gradient: true,
    sample: (draw) => {
      const low = draw.real(-3, 0)
      const high = draw.real(0, 3)
      return {
        inputs: [float(draw, anyShape(draw), wide(draw))],
        attributes: { low, high },
        run: (x: tf.Tensor) => tf.clipByValue(x, low, high),
        oracle: (x) => O.clip(x, low, high)
      }
    }
  },
  binary("add", tf.add, O.add),
  binary("sub", tf.sub, O.sub),
  binary("mul", tf.mul, O.mul),
  binary("div", tf.div, O.div, [undefined, apart]),
  binary("pow", tf.pow, O.pow, [(draw) => () => draw.real(0.2, 4), (draw) => () => draw.real(-3, 3)]),
  ...(
    [
      ["maximum", tf.maximum, O.maximum],
      ["minimum", tf.minimum, O.minimum],
      ["squaredDifference", tf.squaredDifference, O.squaredDifference]
    ] as const
  ).flatMap(
    ([name, run, oracle]): ReadonlyArray<Case> => [
      binary(`${name}, broadcast`, run, oracle),
      {
        name,
        gradient: true,
        sample: (draw) => {
          const shape = anyShape(draw)
          return { inputs: [float(draw, shape), float(draw, shape)], attributes: {}, run, oracle }
        }
      }
    ]
  ),
  {
    name: "pow with a whole exponent",
    gradient: true,
    sample: (draw) => {
      const exponent = draw.int(1, 4)
      return {
        inputs: [float(draw, anyShape(draw), apart(draw))],
        attributes: { exponent },
        run: (x: tf.Tensor) => tf.pow(x, exponent),
        oracle: (x) => O.pow(x, O.input(x.tape, [], [exponent]))
      }
    }
  },
  {
    name: "arithmetic with numbers",
    gradient: true,
    sample: (draw) => ({
      inputs: [float(draw, anyShape(draw))],
      attributes: {},
      run: (x: tf.Tensor) => tf.div(tf.sub(tf.mul(x, 3), 0.5), 4),
      oracle: (x) => O.affine(O.affine(x, 3, -0.5), 0.25)
    })
  },
  {
    name: "addN",
    gradient: true,
    sample: (draw) => {
      const shape = anyShape(draw)
      const inputs = Array.from({ length: draw.int(1, 5) }, () => float(draw, shape))
      return {
        inputs,
        attributes: {},
        run: (...xs: ReadonlyArray<tf.Tensor>) => tf.addN([...xs]),
        oracle: (...xs) => xs.reduce(O.add)
      }
    }
  },
  {
    name: "where",
    gradient: true,
    sample: (draw) => {
      const shape = anyShape(draw)
      const other = partner(draw, shape)
      return {
        inputs: [bool(draw, shape), float(draw, shape), float(draw, other)],
        attributes: {},
        run: (c: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.where(c, a, b),
        oracle: (c, a, b) => O.where(c, a, b)
      }
    }
  },
  {
    name: "where, condition broadcast",
    gradient: true,
    sample: (draw) => {
      const shape = draw.shape(draw.int(1, 3))
      return {
        inputs: [bool(draw, partner(draw, shape)), float(draw, shape), fixed(float(draw, []))],
        attributes: {},
        run: (c: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.where(c, a, b),
        oracle: (c, a, b) => O.where(c, a, b)
      }
    }
  },
  discrete(
    "equal",
    tf.equal,
    truth((a, b) => a === b),
    [...numbers, "bool"]
  ),
  discrete(
    "notEqual",
    tf.notEqual,
    truth((a, b) => a !== b),
    [...numbers, "bool"]
  ),
  discrete(
    "less",
    tf.less,
    truth((a, b) => a < b),
    numbers
  ),
  discrete(
    "lessEqual",
    tf.lessEqual,
    truth((a, b) => a <= b),
    numbers
  ),
  discrete(
    "greater",
    tf.greater,
    truth((a, b) => a > b),
    numbers
  ),
  discrete(
    "greaterEqual",
    tf.greaterEqual,
    truth((a, b) => a >= b),
    numbers
  ),
  discrete(
    "logicalAnd",
    tf.logicalAnd,
    truth((a, b) => a !== 0 && b !== 0),
    ["bool"]
  ),
  discrete(
    "logicalOr",
    tf.logicalOr,
    truth((a, b) => a !== 0 || b !== 0),
    ["bool"]
  ),
  discrete(
    "logicalXor",
    tf.logicalXor,
    truth((a, b) => (a !== 0) !== (b !== 0)),
    ["bool"]
  ),
  discrete(
    "add of integers",
    tf.add,
    O.exactly((a, b) => a + b),
    ["int32"]
  ),
  discrete(
    "sub of integers",
    tf.sub,
    O.exactly((a, b) => a - b),
    ["int32"]
  ),
  discrete(
    "mul of integers",
    tf.mul,
    O.exactly((a, b) => a * b),
    ["int32"]
  ),
  discrete("maximum with ties", tf.maximum, O.exactly(Math.max), numbers),
  discrete("minimum with ties", tf.minimum, O.exactly(Math.min), numbers),
  discrete(
    "floorDiv",
    tf.floorDiv,
    O.exactly((a, b) => Math.floor(a / b)),
    ["int32"],
    1
  ),
  discrete(
    "mod",
    tf.mod,
    O.exactly((a, b) => a - b * Math.floor(a / b)),
    numbers,
    1
  ),
  {
    name: "logicalNot",
    gradient: false,
    sample: (draw) => ({
      inputs: [bool(draw, anyShape(draw))],
      attributes: {},
      run: (x: tf.Tensor) => tf.logicalNot(x),
      oracle: (x) => O.exactly((a) => (a === 0 ? 1 : 0))(x, x)
    })
  },
  ...(
    [
      ["isNaN", tf.isNaN, Number.isNaN],
      ["isFinite", tf.isFinite, Number.isFinite],
      ["isInf", tf.isInf, (a: number) => Math.abs(a) === Infinity]
    ] as const
  ).map(
    ([name, run, holds]): Case => ({
      name,
      gradient: false,
      sample: (draw) => ({
        inputs: [
          fixed(float(draw, anyShape(draw), () => draw.pick([Number.NaN, Infinity, -Infinity, 0, draw.normal()])))
        ],
        attributes: {},
        run: (x: tf.Tensor) => run(x),
        oracle: (x) => truth((a) => holds(a))(x, x)
      })
    })
  ),
  cast("float32", "int32"),
  cast("float32", "bool"),
  cast("int32", "float32"),
  cast("int32", "bool"),
  cast("bool", "float32"),
  cast("bool", "int32"),
  cast("float32", "float32"),
  {
    name: "arithmetic of nothing",
    gradient: true,
    sample: (draw) => {
      const shape = draw.pick([[0], [0, 3], [2, 0, 3]])
      return {
        inputs: [float(draw, shape), float(draw, draw.flag() ? shape : [])],
        attributes: {},
        run: (a: tf.Tensor, b: tf.Tensor) => tf.exp(tf.mul(tf.add(a, b), 2)),
        oracle: (a, b) => O.exp(O.affine(O.add(a, b), 2))
      }
    }
  }
]
