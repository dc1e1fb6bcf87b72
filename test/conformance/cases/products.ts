/** Matrix products. */
import * as tf from "@tensorflow/tfjs"
import { type Case, float } from "../Case.ts"
import type { Draw } from "../draw.ts"
import * as O from "../oracle.ts"

const LAYOUTS = [
  [false, false],
  [true, false],
  [false, true],
  [true, true]
] as const

/** Sizes at, just below and just beyond the tiles that kernels work in, and 1. */
const SIZES = [1, 2, 3, 5, 7, 8, 9, 13, 16, 17, 23, 33]

const sides = (draw: Draw) => {
  const most = SIZES.slice(0, 3 + 2 * draw.size)
  return [draw.pick(most), draw.pick(most), draw.pick(most)] as const
}

const shapes = (
  batch: readonly [ReadonlyArray<number>, ReadonlyArray<number>],
  draw: Draw,
  [turnA, turnB]: readonly [boolean, boolean]
) => {
  const [m, inner, n] = sides(draw)
  return [
    [...batch[0], ...(turnA ? [inner, m] : [m, inner])],
    [...batch[1], ...(turnB ? [n, inner] : [inner, n])]
  ] as const
}

const letters = (layout: readonly [boolean, boolean]) => layout.map((turned) => (turned ? "T" : "N")).join("")

const matMul = (
  name: string,
  layout: readonly [boolean, boolean],
  batch: (draw: Draw) => readonly [ReadonlyArray<number>, ReadonlyArray<number>],
  gradient: boolean
): Case => ({
  name: `${name} ${letters(layout)}`,
  gradient,
  sample: (draw) => ({
    inputs: shapes(batch(draw), draw, layout).map((shape) => float(draw, shape)),
    attributes: { layout: letters(layout) },
    run: (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b, ...layout),
    oracle: (a, b) => O.matMul(a, b, ...layout)
  })
})

const alike = (draw: Draw, rank: number) => {
  const batch = Array.from({ length: rank }, () => draw.length(3))
  return [batch, batch] as const
}

type Batches = readonly [ReadonlyArray<number>, ReadonlyArray<number>]

/** One matrix for a whole batch, on either side, with batch axes of one or without. */
const shared = (draw: Draw): Batches => {
  const batch = Array.from({ length: draw.int(1, 2) }, () => draw.int(2, 3))
  const one = draw.flag() ? [] : batch.map(() => 1)
  return draw.flag() ? [batch, one] : [one, batch]
}

/** Some batch axes are of length one, on one side or on both. */
const mixed = (draw: Draw): Batches =>
  draw.pick<Batches>([
    [
      [2, 1],
      [2, 3]
    ],
    [
      [3, 2],
      [1, 2]
    ],
    [
      [2, 1],
      [1, 3]
    ],
    [[3], [2, 1]]
  ])

const activations = {
  linear: (x: O.Arr) => x,
  relu: O.unary("relu"),
  sigmoid: O.sigmoid,
  elu: O.unary("elu")
}

export const cases: ReadonlyArray<Case> = [
  ...LAYOUTS.flatMap((layout) => [
    matMul("matMul", layout, () => [[], []], true),
    matMul("matMul of batches", layout, (draw) => alike(draw, draw.int(1, 2)), true),
    matMul("matMul of a batch and one matrix", layout, shared, false),
    matMul("matMul, some batch axes broadcast", layout, mixed, false)
  ]),
  matMul("matMul with gradient of a batch and one matrix", [false, false], shared, true),
  {
    name: "matMul of a long inner axis",
    gradient: true,
    sample: (draw) => {
      const inner = draw.pick([64, 127, 300])
      return {
        inputs: [float(draw, [draw.int(1, 3), inner]), float(draw, [inner, draw.int(1, 3)])],
        attributes: {},
        run: (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b),
        oracle: (a, b) => O.matMul(a, b)
      }
    }
  },
  {
    name: "matMul of nothing",
    gradient: true,
    sample: (draw) => {
      const [m, inner, n] = draw.pick([
        [0, 3, 2],
        [2, 3, 0],
        [2, 0, 3]
      ] as ReadonlyArray<readonly [number, number, number]>)
      return {
        inputs: [float(draw, [m, inner]), float(draw, [inner, n])],
        attributes: {},
        run: (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b),
        oracle: (a, b) => O.matMul(a, b)
      }
    }
  },
  {
    name: "matMul of a matrix that changes",
    gradient: false,
    sample: (draw) => {
      const [[a, b]] = [shapes([[], []], draw, [false, false])]
      return {
        inputs: [float(draw, a), float(draw, b), float(draw, b)],
        attributes: {},
        run: (a: tf.Tensor, first: tf.Tensor, second: tf.Tensor) => {
          const weight = tf.variable(first)
          const before = tf.matMul(a, weight)
          weight.assign(second)
          const after = tf.matMul(a, weight)
          weight.dispose()
          return [before, after]
        },
        oracle: (a, first, second) => [O.matMul(a, first), O.matMul(a, second)]
      }
    }
  },
  {
    name: "dot and outerProduct",
    gradient: true,
    sample: (draw) => {
      const n = draw.length()
      return {
        inputs: [float(draw, [n]), float(draw, [n])],
        attributes: {},
        run: (a: tf.Tensor1D, b: tf.Tensor1D) => [tf.dot(a, b), tf.outerProduct(a, b)],
        oracle: (a, b) => {
          const [row, column] = [O.reshape(a, [1, n]), O.reshape(b, [n, 1])]
          return [O.reshape(O.matMul(row, column), []), O.matMul(O.reshape(a, [n, 1]), O.reshape(b, [1, n]))]
        }
      }
    }
  },
  {
    name: "fused matMul with bias and activation",
    gradient: true,
    sample: (draw) => {
      const activation = draw.pick(["linear", "relu", "sigmoid", "elu"] as const)
      const [[a, b]] = [shapes([[], []], draw, [false, false])]
      return {
        inputs: [float(draw, a), float(draw, b), float(draw, [b[1]!])],
        attributes: { activation },
        run: (a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor) => tf.fused.matMul({ a, b, bias, activation }),
        oracle: (a, b, bias) => activations[activation](O.add(O.matMul(a, b), bias))
      }
    }
  },
  ...["bhqd,bhkd->bhqk", "bqk,bkd->bqd", "ij,jk->ik", "ni,ni->n", "i,j->ij"].map(
    (equation): Case => ({
      name: `einsum ${equation}`,
      gradient: false,
      sample: (draw) => {
        const lengths = new Map([...equation].map((letter) => [letter, draw.length(5)]))
        const inputs = equation
          .split("->")[0]!
          .split(",")
          .map((subscripts) =>
            float(
              draw,
              [...subscripts].map((letter) => lengths.get(letter)!)
            )
          )
        return {
          inputs,
          attributes: { equation },
          run: (a: tf.Tensor, b: tf.Tensor) => tf.einsum(equation, a, b),
          oracle: (a, b) => O.einsum(equation, a, b)
        }
      }
    })
  )
]
