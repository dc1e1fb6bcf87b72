import { assert, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Device } from "../../../../runtime/device/Device.ts"
import { heapOf } from "../../../../runtime/device/wasm/host.ts"
import { relativeError, values } from "../../tensor/closeness.ts"
import { balanced, random } from "./tensors.ts"

const ints = (shape: ReadonlyArray<number>, below: number) =>
  tf.tensor(
    Array.from({ length: tf.util.sizeFromShape([...shape]) }, (_, i) => (i * 7 + 3) % below),
    [...shape],
    "int32"
  )

layer(Device.layer("wasm"))("indexing on wasm", (it) => {
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

  for (const [shape, idShape, axis, batchDims] of [
    [[5], [3], 0, 0],
    [[5, 7], [2, 3], 0, 0],
    [[3, 13, 9], [4], 1, 0],
    [[3, 8], [5], -1, 0],
    [[3, 8], [3, 5], 1, 1],
    [[3, 4, 8], [3, 5], 2, 1],
    [[2, 3, 6, 5], [2, 3, 4], 2, 2],
    [[2, 6, 65], [2, 4, 3], 1, 1],
    [[4, 3], [0], 0, 0]
  ] as const)
    it.effect(`gather [${shape}] by [${idShape}], axis ${axis}, batch ${batchDims}: values and gradient`, () =>
      balanced(() => {
        const along = axis < 0 ? axis + shape.length : axis
        const x = random("x", shape)
        const ids = ints(idShape, shape[along]!)
        const got = tf.gather(x, ids, axis, batchDims)
        // The same as a product with one-hot rows, one batch at a time.
        const [batch, outer, size, inner] = [
          tf.util.sizeFromShape([...shape].slice(0, batchDims)),
          tf.util.sizeFromShape([...shape].slice(batchDims, along)),
          shape[along]!,
          tf.util.sizeFromShape([...shape].slice(along + 1))
        ]
        const perBatch = ids.size / batch
        const [xs, places] = [values(x), ids.dataSync()]
        const dy = random("dy", got.shape)
        const [slopes, gradient] = [values(dy), new Float64Array(x.size)]
        const expected: Array<number> = []
        for (let b = 0; b < batch; b++)
          for (let o = 0; o < outer; o++)
            for (let i = 0; i < perBatch; i++)
              for (let d = 0; d < inner; d++) {
                const at = ((b * outer + o) * size + places[b * perBatch + i]!) * inner + d
                gradient[at]! += slopes[expected.length]!
                expected.push(xs[at]!)
              }
        assert.deepStrictEqual([...values(got)], expected)
        // The library's own gradient of gather knows no more than one batch axis, and no empty one.
        if (batchDims > 1 || ids.size === 0) return
        const back = tf.grad((x: tf.Tensor) => tf.gather(x, ids, axis, batchDims))(x, dy)
        assert.isBelow(relativeError(values(back), gradient), 1e-6)
      })
    )

  it.effect("gather of int32, and an index outside the axis", () =>
    balanced(() => {
      const x = tf.tensor1d([5, 6, 7], "int32")
      assert.deepStrictEqual([...tf.gather(x, tf.tensor1d([2, 2, 0], "int32")).dataSync()], [7, 7, 5])
      for (const index of [3, -1])
        assert.throws(() => tf.gather(x, tf.tensor1d([0, index], "int32")), `index ${index} is outside an axis of 3`)
    })
  )

  it.effect("unsortedSegmentSum drops ids outside the segments, for floats and whole numbers", () =>
    balanced(() => {
      const x = random<tf.Rank.R2>("x", [20, 9])
      const ids = tf.sub(ints([20], 7), 1).toInt() as tf.Tensor1D
      const [xs, segments] = [values(x), ids.dataSync()]
      const expected = new Float64Array(4 * 9)
      for (let row = 0; row < 20; row++)
        for (let d = 0; d < 9; d++)
          if (segments[row]! >= 0 && segments[row]! < 4) expected[segments[row]! * 9 + d]! += xs[row * 9 + d]!
      assert.isBelow(relativeError(values(tf.unsortedSegmentSum(x, ids, 4)), expected), 1e-6)
      const whole = tf.unsortedSegmentSum(tf.tensor1d([1, 2, 3], "int32"), tf.tensor1d([1, -1, 1], "int32"), 2)
      assert.strictEqual(whole.dtype, "int32")
      assert.deepStrictEqual([...whole.dataSync()], [0, 4])
    })
  )

  it.effect("ids outside the segments touch nothing around the result", () =>
    balanced(() => {
      const { address, exports } = heapOf(tf.engine().backend)
      const [around, x, ids] = [tf.ones([3, 9]), tf.ones([4, 9]), tf.tensor1d([-1, 1, 0, 2], "int32")]
      for (const sum of ["segmentSum", "segmentSumInts"]) {
        exports[sum]!(address(x), address(ids), address(around) + 36, 4, 9, 1)
        assert.deepStrictEqual([...values(around)], Array(27).fill(1))
      }
    })
  )
})
