/** Fused operations against the same formulas composed of the library's own, forward and gradient. */
import { assert, it, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import { Device, withoutLeak } from "../../../runtime/device/Device.ts"
import { cachedAttention } from "../../../runtime/tensor/cachedAttention.ts"
import { CausalAttention, causalAttention, type Heads } from "../../../runtime/tensor/causalAttention.ts"
import { gatherRows, scatterRows } from "../../../runtime/tensor/gatherRows.ts"
import { logProbs } from "../../../runtime/tensor/logProbs.ts"
import { RmsNorm, rmsNorm } from "../../../runtime/tensor/rmsNorm.ts"
import { swiGlu } from "../../../runtime/tensor/swiGlu.ts"
import { normals, relativeError, values } from "./closeness.ts"

type Operation = (...inputs: ReadonlyArray<any>) => tf.Tensor

/** Value and gradients of `sum(cos(i) * y_i)`, so that no two outputs weigh the same. */
const evaluate = (operation: Operation, shapes: ReadonlyArray<ReadonlyArray<number>>, deviation = 1) => {
  const inputs = shapes.map((shape, i) =>
    tf.tensor(normals(`${shape}/${i}`, tf.util.sizeFromShape([...shape]), deviation), [...shape])
  )
  const value = tf.tidy(() => values(operation(...inputs)))
  const slopes = tf.tensor1d(value.map((_, i) => Math.cos(i)))
  const gradients = tf.grads((...inputs) => tf.sum(tf.mul(tf.reshape(operation(...inputs), [-1]), slopes)))(inputs)
  const read = gradients.map(values)
  tf.dispose([inputs, gradients, slopes] as never)
  return [value, ...read]
}

const same = (fused: Operation, composed: Operation, shapes: ReadonlyArray<ReadonlyArray<number>>, deviation = 1) =>
  withoutLeak(
    Effect.sync(() => {
      const expected = evaluate(composed, shapes, deviation)
      evaluate(fused, shapes, deviation).forEach((got, i) => {
        assert.isBelow(relativeError(got, expected[i]!), 2e-6, i === 0 ? "value" : `gradient of input ${i - 1}`)
      })
    })
  )

const composedNorm = (x: tf.Tensor2D, weight: tf.Tensor1D) =>
  tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), 1e-6))), weight)

const composedLogProbs = (targets: Int32Array) => (logits: tf.Tensor2D) => {
  const hot = tf.tensor2d(
    Array.from(targets, (target) => Array.from({ length: logits.shape[1] }, (_, token) => (token === target ? 1 : 0)))
  )
  return tf.sum(tf.mul(tf.logSoftmax(logits), hot), -1)
}

/** Attention of one sequence, head by head, of matrix products, with an explicit rotation matrix per position. */
const composedAttention = (lengths: Int32Array, heads: Heads) => (q: tf.Tensor2D, k: tf.Tensor2D, v: tf.Tensor2D) => {
  const { headDim, ropeTheta } = heads
  const half = headDim / 2
  const rotated = (x: tf.Tensor2D) => {
    const angles = Array.from({ length: x.shape[0] }, (_, position) =>
      Array.from({ length: headDim }, (_, d) => position * ropeTheta ** ((-2 * (d % half)) / headDim))
    )
    const other = tf.concat([tf.neg(tf.slice(x, [0, half], [-1, half])), tf.slice(x, [0, 0], [-1, half])], 1)
    return tf.add(tf.mul(x, tf.cos(tf.tensor2d(angles))), tf.mul(other, tf.sin(tf.tensor2d(angles))))
  }
  let start = 0
  const sequences: Array<tf.Tensor2D> = []
  for (const length of lengths) {
    if (length === 0) continue
    const part = (x: tf.Tensor2D, head: number) => tf.slice(x, [start, head * headDim], [length, headDim])
    const mask = tf.tensor2d(Array.from({ length }, (_, i) => Array.from({ length }, (_, j) => (j <= i ? 0 : -1e9))))
    const outputs = Array.from({ length: heads.heads }, (_, head) => {
      const shared = Math.floor(head / (heads.heads / heads.keyValueHeads))
      const scores = tf.matMul(rotated(part(q, head)), tf.transpose(rotated(part(k, shared)) as tf.Tensor2D))
      return tf.matMul(tf.softmax(tf.add(tf.div(scores, Math.sqrt(headDim)), mask)), part(v, shared)) as tf.Tensor2D
    })
    sequences.push(tf.concat(outputs, 1))
    start += length
  }
  return tf.concat(sequences, 0)
}

const layouts: ReadonlyArray<readonly [ReadonlyArray<number>, Heads]> = [
  [[5], { heads: 1, keyValueHeads: 1, headDim: 2, ropeTheta: 10000 }],
  [[1, 7, 0, 4], { heads: 4, keyValueHeads: 2, headDim: 6, ropeTheta: 10000 }],
  [[9, 3], { heads: 6, keyValueHeads: 1, headDim: 8, ropeTheta: 500 }],
  [[70], { heads: 2, keyValueHeads: 2, headDim: 16, ropeTheta: 10000 }]
]

for (const kind of ["wasm", "cpu"] as const)
  layer(Device.layer(kind))(`operations on ${kind}`, (it) => {
    for (const [rows, width] of [
      [1, 2],
      [3, 5],
      [17, 64]
    ] as const)
      it.effect(`rmsNorm ${rows} x ${width}`, () =>
        same((x, weight) => rmsNorm(x, weight, 1e-6), composedNorm, [[rows, width], [width]])
      )

    it.effect("swiGlu", () =>
      same(
        swiGlu,
        (gate, up) => tf.mul(tf.mul(gate, tf.sigmoid(gate)), up),
        [
          [7, 9],
          [7, 9]
        ],
        3
      )
    )

    it.effect("logProbs", () => {
      const targets = Int32Array.from([4, 0, 6, 6])
      return same((logits) => logProbs(logits, targets), composedLogProbs(targets), [[4, 7]], 4)
    })

    for (const [lengths, heads] of layouts) {
      const cut = Int32Array.from(lengths)
      const rows = cut.reduce((sum, length) => sum + length, 0)
      const shapes = [heads.heads, heads.keyValueHeads, heads.keyValueHeads].map((n) => [rows, n * heads.headDim])
      it.effect(
        `causalAttention of [${lengths}], ${heads.heads}/${heads.keyValueHeads} heads of ${heads.headDim}`,
        () => same((q, k, v) => causalAttention(q, k, v, cut, heads), composedAttention(cut, heads), shapes)
      )

      it.effect(`cachedAttention over [${lengths}], one position at a time, equals causalAttention`, () =>
        withoutLeak(
          Effect.sync(() =>
            tf.tidy(() => {
              const [q, k, v] = shapes.map((shape, i) =>
                tf.tensor2d(normals(`${i}`, tf.util.sizeFromShape(shape)), shape as [number, number])
              ) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
              const expected = values(causalAttention(q, k, v, cut, heads))
              const empty = () => tf.variable(tf.zeros<tf.Rank.R3>([5, 70, k.shape[1]]), false)
              const cache = { keys: empty(), values: empty() }
              const starts = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, length) => sum + length, 0))
              const longest = Math.max(...lengths)
              for (let position = 0; position < longest; position++) {
                const live = [...lengths.keys()].filter((sequence) => position < lengths[sequence]!).reverse()
                const rows = Int32Array.from(live, (sequence) => starts[sequence]! + position)
                const slots = Int32Array.from(live, (sequence) => (sequence + 2) % 5)
                const positions = new Int32Array(live.length).fill(position)
                const got = values(
                  cachedAttention(
                    gatherRows(q, rows),
                    gatherRows(k, rows),
                    gatherRows(v, rows),
                    cache,
                    { slots, positions },
                    heads
                  )
                )
                const width = q.shape[1]
                rows.forEach((row, i) => {
                  const error = relativeError(
                    got.subarray(i * width, (i + 1) * width),
                    expected.subarray(row * width, (row + 1) * width)
                  )
                  assert.isBelow(error, 1e-6, `row ${row}`)
                })
              }
              tf.dispose([cache.keys, cache.values])
            })
          )
        )
      )
    }

    it.effect("gatherRows and scatterRows, with rows that repeat", () => {
      const rows = Int32Array.from([3, 0, 3, 1])
      const hot = () => tf.tensor2d(Array.from(rows, (row) => Array.from({ length: 5 }, (_, i) => (i === row ? 1 : 0))))
      return Effect.andThen(
        same(
          (x) => gatherRows(x, rows),
          (x) => tf.matMul(hot(), x),
          [[5, 3]]
        ),
        same(
          (x) => scatterRows(x, rows, 5),
          (x) => tf.matMul(tf.transpose(hot()), x),
          [[4, 3]]
        )
      )
    })

    it.effect("logProbs stays finite and exact where softmax underflows", () =>
      withoutLeak(
        Effect.sync(() =>
          tf.tidy(() => {
            const logits = tf.tensor2d([
              [1000, 0, -1000],
              [-3e4, -3e4, -3e4]
            ])
            const got = values(logProbs(logits, Int32Array.from([2, 1])))
            assert.strictEqual(got[0], -2000)
            assert.closeTo(got[1]!, -Math.log(3), 1e-6)
          })
        )
      )
    )

    it.effect("composed: no query sees a later key, however low its scores are", () =>
      withoutLeak(
        Effect.sync(() => {
          const heads: Heads = { heads: 2, keyValueHeads: 1, headDim: 2, ropeTheta: 1e4 }
          const lengths = Int32Array.of(2)
          const got = tf.tidy(() => {
            const q = tf.tensor2d([1e6, 0, 1e6, 0, 1e6, 0, 1e6, 0], [2, 4])
            const [k, v] = [tf.tensor2d([-1e6, 0, 1e6, 0], [2, 2]), tf.tensor2d([1, 2, 3, 4], [2, 2])]
            return values(CausalAttention.composed({ q, k, v }, { lengths, ...heads }))
          })
          assert.deepStrictEqual([...got.subarray(0, 4)], [1, 2, 1, 2])
        })
      )
    )

    it.effect("composed: a row whose squares leave float32 does not look finite, and its gradient neither", () =>
      withoutLeak(
        Effect.sync(() => {
          const [got, gradient] = tf.tidy(() => {
            const [x, weight] = [tf.tensor2d([1e20, 1, 1, 2], [2, 2]), tf.ones([2])]
            const sum = (x: tf.Tensor) => tf.sum(RmsNorm.composed({ x, weight }, { epsilon: 1e-5 }))
            return [values(RmsNorm.composed({ x, weight }, { epsilon: 1e-5 })), values(tf.grad(sum)(x))]
          })
          for (const of of [got!, gradient!])
            assert.deepStrictEqual(Array.from(of, Number.isFinite), [false, false, true, true])
        })
      )
    )

    it.effect("what lies outside is refused, with nothing left on the device", () =>
      withoutLeak(
        Effect.sync(() => {
          const refused = (run: () => tf.Tensor, message: string) =>
            assert.throws(() => tf.tidy(run), RangeError, message)
          refused(() => gatherRows(tf.zeros([2, 3]), Int32Array.from([2])), "row 2 is outside a matrix of 2 rows")
          refused(() => scatterRows(tf.zeros([1, 3]), Int32Array.from([-1]), 4), "row -1 is outside a matrix of 4 rows")
          refused(() => logProbs(tf.zeros([1, 3]), Int32Array.from([3])), "target 3 is outside a vocabulary of 3")
          refused(
            () =>
              causalAttention(tf.zeros([3, 4]), tf.zeros([3, 4]), tf.zeros([3, 4]), Int32Array.from([2]), {
                heads: 2,
                keyValueHeads: 2,
                headDim: 2,
                ropeTheta: 1e4
              }),
            "sequence lengths sum to 2, but there are 3 rows"
          )
        })
      )
    )
  })

it("the relative error of different lengths is refused, so no comparison passes by being short", () =>
  assert.throws(() => relativeError([1], [1, 2]), "1 values against 2"))
