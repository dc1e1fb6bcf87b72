/** Many elements to one, and running sums. */
import * as tf from "@tensorflow/tfjs"
import { bool, type Case, fixed, float, int } from "../Case.ts"
import type { Draw } from "../draw.ts"
import * as O from "../oracle.ts"
import * as Tape from "../tape.ts"

/** Some axes, written from either end, or all of them. */
const axesOf = (draw: Draw, rank: number): Array<number> | undefined => {
  if (draw.int(0, 3) === 0) return undefined
  const chosen = Array.from({ length: rank }, (_, axis) => axis).filter(() => draw.flag())
  if (chosen.length === 0) return [rank - 1]
  return chosen.map((axis) => (draw.flag() ? axis : axis - rank))
}

type Reduction = (x: tf.Tensor, axes: Array<number> | undefined, keepDims: boolean) => tf.Tensor
type Definition = (x: O.Arr, axes: ReadonlyArray<number> | undefined, keepDims: boolean) => O.Arr

const reduction = (
  name: string,
  run: Reduction,
  oracle: Definition,
  input: (draw: Draw, shape: ReadonlyArray<number>) => ReturnType<typeof float> = float,
  gradient = true
): Case => ({
  name,
  gradient,
  sample: (draw) => {
    const shape = draw.shape(draw.int(1, 4))
    const axes = axesOf(draw, shape.length)
    const keepDims = draw.flag()
    return {
      inputs: [input(draw, shape)],
      attributes: { axes, keepDims },
      run: (x: tf.Tensor) => run(x, axes, keepDims),
      oracle: (x) => oracle(x, axes, keepDims)
    }
  }
})

const argument = (
  name: string,
  ranks: readonly [number, number],
  find: (x: tf.Tensor, axis: number) => tf.Tensor,
  better: (a: number, b: number) => boolean,
  ties: boolean
): Case => ({
  name: ties ? `${name} with ties` : name,
  gradient: false,
  sample: (draw) => {
    const shape = draw.shape(draw.int(...ranks))
    const axis = draw.int(0, shape.length - 1)
    return {
      inputs: [fixed(float(draw, shape, ties ? () => draw.int(-2, 2) : undefined))],
      attributes: { axis },
      run: (x: tf.Tensor) => find(x, axis),
      oracle: (x) => O.argExtreme(x, axis, better)
    }
  }
})

const rowwise = (name: string, run: (x: tf.Tensor) => tf.Tensor, oracle: (x: O.Arr) => O.Arr): Case => ({
  name,
  gradient: true,
  sample: (draw) => {
    const scale = draw.pick([0.1, 1, 10])
    return {
      inputs: [float(draw, draw.shape(draw.int(1, 4)), () => Math.fround(scale * draw.normal()))],
      attributes: { scale },
      run,
      oracle
    }
  }
})

interface Running {
  readonly run: (x: tf.Tensor, axis: number, exclusive: boolean, reverse: boolean) => tf.Tensor
  readonly fold: (tape: Tape.Tape, ids: ReadonlyArray<Tape.Id>) => Tape.Id
  readonly gradient: boolean
  /** Integers. */
  readonly whole?: boolean
  /** Along the last axis only, or any. */
  readonly last?: boolean
}

const running = (name: string, reverse: boolean, { fold, gradient, last, run, whole }: Running): Case => ({
  name: reverse ? `${name}, reversed` : name,
  gradient,
  sample: (draw) => {
    const shape = draw.shape(draw.int(1, 3))
    const axis = last ? shape.length - 1 : draw.int(0, shape.length - 1)
    const exclusive = draw.flag()
    return {
      inputs: [whole ? int(draw, shape, -9, 9) : float(draw, shape)],
      attributes: { axis, exclusive, reverse },
      run: (x: tf.Tensor) => run(x, axis, exclusive, reverse),
      oracle: (x) => O.cumulate(x, axis, exclusive, reverse, fold)
    }
  }
})

const total = (tape: Tape.Tape, ids: ReadonlyArray<Tape.Id>) => Tape.sum(tape, ids)

const product = (tape: Tape.Tape, ids: ReadonlyArray<Tape.Id>) =>
  ids.reduce((a, b) => Tape.multiply(tape, a, b), Tape.leaf(tape, 1))

const awayFrom0 = (draw: Draw, shape: ReadonlyArray<number>) =>
  float(draw, shape, () => (draw.flag() ? 1 : -1) * draw.real(0.7, 1.4))

const integers = (draw: Draw, shape: ReadonlyArray<number>) => int(draw, shape, -9, 9)

export const cases: ReadonlyArray<Case> = [
  reduction("sum", (x, axes, keep) => tf.sum(x, axes, keep), O.sum),
  reduction("mean", (x, axes, keep) => tf.mean(x, axes, keep), O.mean),
  reduction("max", (x, axes, keep) => tf.max(x, axes, keep), O.max),
  reduction("min", (x, axes, keep) => tf.min(x, axes, keep), O.min),
  reduction("logSumExp", (x, axes, keep) => tf.logSumExp(x, axes, keep), O.logSumExp),
  reduction("sum of integers", (x, axes, keep) => tf.sum(x, axes, keep), O.sum, integers, false),
  reduction("sum of truth values", (x, axes, keep) => tf.sum(x, axes, keep), O.sum, bool, false),
  reduction("max of integers", (x, axes, keep) => tf.max(x, axes, keep), O.max, integers, false),
  reduction("any", (x, axes, keep) => tf.any(x, axes, keep), O.any, bool, false),
  reduction("all", (x, axes, keep) => tf.all(x, axes, keep), O.all, bool, false),
  reduction("prod", (x, axes, keep) => tf.prod(x, axes, keep), O.prod, awayFrom0, false),
  reduction(
    "euclidean norm",
    (x, axes, keep) => tf.sqrt(tf.sum(tf.square(x), axes, keep)),
    (x, axes, keep) => O.unary("sqrt")(O.sum(O.square(x), axes, keep)),
    awayFrom0
  ),
  {
    name: "prod along the last axis",
    gradient: true,
    sample: (draw) => ({
      inputs: [awayFrom0(draw, draw.shape(draw.int(1, 3)))],
      attributes: { axis: -1 },
      run: (x: tf.Tensor) => tf.prod(x, -1),
      oracle: (x) => O.prod(x, [-1])
    })
  },
  {
    name: "moments",
    gradient: true,
    sample: (draw) => {
      const shape = [draw.length(), 2 + draw.length()]
      return {
        inputs: [float(draw, shape)],
        attributes: { axes: [1] },
        run: (x: tf.Tensor) => {
          const { mean, variance } = tf.moments(x, [1], true)
          return [mean, variance]
        },
        oracle: (x) => {
          const mean = O.mean(x, [1], true)
          return [mean, O.mean(O.square(O.sub(x, mean)), [1], true)]
        }
      }
    }
  },
  argument("argMax", [2, 4], tf.argMax, (a, b) => a > b, false),
  argument("argMin", [2, 4], tf.argMin, (a, b) => a < b, false),
  argument("argMax", [2, 4], tf.argMax, (a, b) => a > b, true),
  argument("argMin", [2, 4], tf.argMin, (a, b) => a < b, true),
  argument("argMax of a vector", [1, 1], tf.argMax, (a, b) => a > b, false),
  rowwise("softmax", (x) => tf.softmax(x), O.softmax),
  rowwise("logSoftmax", (x) => tf.logSoftmax(x), O.logSoftmax),
  {
    name: "softmax with masked positions",
    gradient: true,
    sample: (draw) => {
      const shape = draw.shape(draw.int(1, 3))
      const mask = { ...int(draw, shape, 0, 1), dtype: "float32" as const }
      const penalty = Array.from(mask.values, (value, i) => (i % shape.at(-1)! === 0 || value ? 0 : -1e9))
      return {
        inputs: [float(draw, shape), { ...mask, values: penalty }],
        attributes: {},
        run: (x: tf.Tensor, mask: tf.Tensor) => tf.softmax(tf.add(x, mask)),
        oracle: (x, mask) => O.softmax(O.where(O.exactly((a) => (a === 0 ? 1 : 0))(mask, mask), x, O.affine(mask, 1)))
      }
    }
  },
  ...[false, true].flatMap((reverse) => [
    running("cumsum", reverse, { run: tf.cumsum, fold: total, gradient: true, last: true }),
    running("cumsum along any axis", reverse, { run: tf.cumsum, fold: total, gradient: true }),
    running("cumsum of integers", reverse, { run: tf.cumsum, fold: total, gradient: false, whole: true }),
    running("cumprod", reverse, { run: tf.cumprod, fold: product, gradient: true })
  ]),
  {
    name: "topk",
    gradient: false,
    sample: (draw) => {
      const shape = draw.shape(draw.int(1, 3))
      const k = draw.int(1, shape.at(-1)!)
      return {
        inputs: [fixed(float(draw, shape))],
        attributes: { k },
        run: (x: tf.Tensor) => {
          const { indices, values } = tf.topk(x, k, true)
          return [values, indices]
        },
        oracle: (x) => O.topk(x, k)
      }
    }
  },
  {
    name: "sum of nothing",
    gradient: true,
    sample: (draw) => {
      const shape = draw.pick([[0, 30], [0, 17, 2], [2, 0], [0]])
      const axes = [0]
      return {
        inputs: [float(draw, shape)],
        attributes: { axes },
        run: (x: tf.Tensor) => tf.sum(x, axes),
        oracle: (x) => O.sum(x, axes)
      }
    }
  }
]
