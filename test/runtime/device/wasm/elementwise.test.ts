import { assert, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Device } from "../../../../runtime/device/Device.ts"
import { relativeError, values } from "../../tensor/closeness.ts"
import { balanced, random } from "./tensors.ts"

const operations: ReadonlyArray<[(a: tf.Tensor, b: tf.Tensor) => tf.Tensor, (x: number, y: number) => number]> = [
  [tf.add, (x, y) => x + y],
  [tf.sub, (x, y) => x - y],
  [tf.mul, (x, y) => x * y]
]

layer(Device.layer("wasm"))("sums, differences and products on wasm", (it) => {
  for (const [one, other] of [
    [[1], [1]],
    [[], []],
    [[7], [7]],
    [
      [13, 65],
      [13, 65]
    ],
    [[5, 9], []],
    [[], [9]],
    [[1, 1, 1], [9]],
    [[9], [1, 1, 1]],
    [
      [3, 9],
      [1, 9]
    ],
    [
      [3, 1],
      [1, 9]
    ],
    [[9], [3, 9]],
    [
      [0, 3],
      [0, 3]
    ],
    [[0, 3], [1]]
  ])
    it.effect(`[${one}] and [${other}], to the last bit`, () =>
      balanced(() => {
        const [a, b] = [random("a", one!), random("b", other!)]
        const shape = tf.backend_util.assertAndGetBroadcastShape(one!, other!)
        const [as, bs] = [a, b].map((x) => [...values(tf.broadcastTo(x, shape as [number]))])
        for (const [operation, exact] of operations) {
          const got = operation(a, b)
          assert.deepStrictEqual(got.shape, shape)
          assert.deepStrictEqual(
            [...values(got)],
            as!.map((x, i) => Math.fround(exact(x, bs![i]!)))
          )
        }
      })
    )

  it.effect("whole numbers", () =>
    balanced(() => {
      const x = tf.tensor1d([1, 2, 16777217], "int32")
      assert.deepStrictEqual([...tf.add(x, x).dataSync()], [2, 4, 33554434])
    })
  )

  it.effect("gradients", () =>
    balanced(() => {
      const [a, b, dy] = [random("a", [3, 5]), random("b", [3, 5]), random("dy", [3, 5])]
      const [da, db] = tf.grads((a: tf.Tensor, b: tf.Tensor) => tf.mul(tf.sub(a, b), tf.add(a, b)))([a, b], dy)
      const [as, bs, slopes] = [a, b, dy].map(values) as [Float32Array, Float32Array, Float32Array]
      const twice = (sign: number, x: Float32Array) => x.map((value, i) => sign * 2 * value * slopes[i]!)
      assert.isBelow(relativeError(values(da!), twice(1, as)), 1e-6)
      assert.isBelow(relativeError(values(db!), twice(-1, bs)), 1e-6)
    })
  )
})
