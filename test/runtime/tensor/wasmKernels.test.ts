import { assert, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import { Device, withoutLeak } from "../../../runtime/device/Device.ts"
import { normals, relativeError, values } from "./closeness.ts"

const matrix = (label: string, shape: ReadonlyArray<number>) =>
  tf.tensor(normals(label, tf.util.sizeFromShape([...shape])), [...shape])

/** Product of the last two axes in float64, batch by batch. */
const product = (a: tf.Tensor, b: tf.Tensor, turnA: boolean, turnB: boolean): Float64Array => {
  const [[rowsA, columnsA], [rowsB, columnsB]] = [a, b].map(({ shape }) => shape.slice(-2)) as [
    [number, number],
    [number, number]
  ]
  const [m, inner, n] = [turnA ? columnsA : rowsA, turnA ? rowsA : columnsA, turnB ? rowsB : columnsB]
  const batches = a.size / (rowsA * columnsA)
  const [as, bs] = [values(a), values(b)]
  return Float64Array.from({ length: batches * m * n }, (_, at) => {
    const [batch, i, j] = [Math.floor(at / (m * n)), Math.floor(at / n) % m, at % n]
    let sum = 0
    for (let k = 0; k < inner; k++)
      sum +=
        as[batch * rowsA * columnsA + (turnA ? k * columnsA + i : i * columnsA + k)]! *
        bs[batch * rowsB * columnsB + (turnB ? j * columnsB + k : k * columnsB + j)]!
    return sum
  })
}

const balanced = (run: () => void) => withoutLeak(Effect.sync(() => tf.tidy(run)))

layer(Device.layer("wasm"))("kernels on wasm", (it) => {
  for (const batch of [[], [1], [3]])
    for (const [m, inner, n] of [
      [1, 1, 1],
      [3, 5, 7],
      [7, 33, 3],
      [65, 17, 9],
      [9, 64, 130]
    ] as const)
      it.effect(`matMul [${batch}] ${m} x ${inner} x ${n}, every layout`, () =>
        balanced(() => {
          for (const turnA of [false, true])
            for (const turnB of [false, true]) {
              const a = matrix("a", [...batch, ...(turnA ? [inner, m] : [m, inner])])
              const b = matrix("b", [...batch, ...(turnB ? [n, inner] : [inner, n])])
              const got = tf.matMul(a, b, turnA, turnB)
              assert.deepStrictEqual(got.shape, [...batch, m, n])
              assert.isBelow(relativeError(values(got), product(a, b, turnA, turnB)), 1e-6, `${turnA} ${turnB}`)
            }
        })
      )

  it.effect("a product after a parameter's update uses the new values", () =>
    balanced(() => {
      const x = matrix("x", [4, 3])
      const weight = tf.variable(matrix("w", [3, 2]))
      assert.isBelow(relativeError(values(tf.matMul(x, weight)), product(x, weight, false, false)), 1e-6)
      weight.assign(matrix("other", [3, 2]))
      assert.isBelow(relativeError(values(tf.matMul(x, weight)), product(x, weight, false, false)), 1e-6)
      weight.dispose()
    })
  )

  it.effect("clones share data without sharing their lives", () =>
    balanced(() => {
      const x = tf.tensor1d([1, 2, 3])
      const copy = x.clone()
      x.dispose()
      const noise = tf.ones([3])
      assert.deepStrictEqual([...values(copy)], [1, 2, 3])
      noise.dispose()
    })
  )

  it.effect("gather has a gradient: rows that repeat add up", () =>
    balanced(() => {
      const ids = tf.tensor1d([2, 0, 2], "int32")
      const slopes = tf.tensor2d([
        [1, 2],
        [3, 4],
        [5, 6]
      ])
      const gradient = tf.grad((x: tf.Tensor) => tf.sum(tf.mul(tf.gather(x, ids), slopes)))(tf.zeros([4, 2]))
      assert.deepStrictEqual([...values(gradient)], [3, 4, 0, 0, 6, 8, 0, 0])
      const wide = tf.tensor2d([
        [1, 2, 3],
        [4, 5, 6],
        [7, 8, 9]
      ])
      const columns = tf.grad((x: tf.Tensor) => tf.sum(tf.mul(tf.gather(x, ids, 1), wide)))(tf.zeros([3, 4]))
      assert.deepStrictEqual([...values(columns)], [2, 0, 4, 0, 5, 0, 10, 0, 8, 0, 16, 0])
    })
  )

  it.effect("unsortedSegmentSum drops ids outside the segments", () =>
    balanced(() => {
      const sum = tf.unsortedSegmentSum(
        tf.tensor2d([
          [1, 2],
          [3, 4],
          [5, 6]
        ]),
        tf.tensor1d([1, -1, 1], "int32"),
        2
      )
      assert.deepStrictEqual([...values(sum)], [0, 0, 6, 8])
    })
  )

  it.effect("oneHot in float, with values of its own, and outside the depth", () =>
    balanced(() => {
      const ids = tf.tensor1d([1, 3, -1], "int32")
      assert.deepStrictEqual([...values(tf.oneHot(ids, 3, 1, 0, "float32"))], [0, 1, 0, 0, 0, 0, 0, 0, 0])
      assert.deepStrictEqual([...tf.oneHot(ids, 2, 5, -1).dataSync()], [-1, 5, -1, -1, -1, -1])
    })
  )

  it.effect("cast to bool is 0 or 1", () =>
    balanced(() => {
      assert.deepStrictEqual([...tf.cast(tf.tensor1d([0, 2, 256, -1], "int32"), "bool").dataSync()], [0, 1, 1, 1])
      assert.deepStrictEqual([...tf.cast(tf.tensor1d([0, 0.25]), "bool").dataSync()], [0, 1])
      assert.deepStrictEqual([...tf.cast(tf.tensor1d([1.9, -1.9]), "int32").dataSync()], [1, -1])
    })
  )

  it.effect("gather with batched indices, forward and gradient", () =>
    balanced(() => {
      const x = tf.tensor2d([
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 10, 11, 12]
      ])
      const ids = tf.tensor2d([[3], [0], [2]], [3, 1], "int32")
      assert.deepStrictEqual([...values(tf.gather(x, ids, 1, 1))], [4, 5, 11])
      const gradient = tf.grad((x: tf.Tensor) => tf.sum(tf.gather(x, ids, 1, 1)))(x)
      assert.deepStrictEqual([...values(gradient)], [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0])
    })
  )
})
