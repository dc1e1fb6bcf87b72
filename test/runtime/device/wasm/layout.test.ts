import { assert, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Device } from "../../../../runtime/device/Device.ts"
import { values } from "../../tensor/closeness.ts"
import { balanced, random } from "./tensors.ts"

const permutations = (count: number): ReadonlyArray<ReadonlyArray<number>> =>
  count === 0
    ? [[]]
    : permutations(count - 1).flatMap((rest) =>
        Array.from({ length: count }, (_, at) => [...rest.slice(0, at), count - 1, ...rest.slice(at)])
      )

/** What lies at each place of the permuted tensor, as places in the original one. */
const origin = (shape: ReadonlyArray<number>, perm: ReadonlyArray<number>): ReadonlyArray<number> => {
  const step = (axis: number) => tf.util.sizeFromShape(shape.slice(axis + 1))
  return perm.reduce<ReadonlyArray<number>>(
    (found, axis) => found.flatMap((at) => Array.from({ length: shape[axis]! }, (_, i) => at + i * step(axis))),
    [0]
  )
}

layer(Device.layer("wasm"))("layout on wasm", (it) => {
  for (const shape of [
    [7],
    [9, 13],
    [65, 8],
    [1, 5],
    [0, 3],
    [3, 1, 7],
    [5, 8, 9],
    [2, 3, 4, 5],
    [4, 1, 13, 1, 2],
    [2, 3, 2, 4, 3],
    [2, 3, 1, 2, 5, 3]
  ])
    it.effect(`every permutation of [${shape}], float32 and int32`, () =>
      balanced(() => {
        const x = random("x", shape)
        const ints = tf.range(0, x.size, 1, "int32").reshape(shape)
        const [before, count] = [values(x), tf.memory().numTensors]
        for (const perm of permutations(shape.length)) {
          const [places, expected] = [origin(shape, perm), perm.map((axis) => shape[axis]!)]
          tf.tidy(() => {
            const [turned, whole] = [tf.transpose(x, [...perm]), tf.transpose(ints, [...perm])]
            assert.deepStrictEqual(turned.shape, expected)
            assert.deepStrictEqual(
              [...values(turned)],
              places.map((at) => before[at]!)
            )
            assert.strictEqual(whole.dtype, "int32")
            assert.deepStrictEqual([...whole.dataSync()], [...places])
          })
        }
        assert.strictEqual(tf.memory().numTensors, count)
      })
    )

  it.effect("a transposed tensor of another kind", () =>
    balanced(() => {
      const x = tf.tensor2d([1, 0, 1, 1, 0, 0], [2, 3], "bool")
      assert.deepStrictEqual([...tf.transpose(x).dataSync()], [1, 1, 0, 0, 1, 0])
    })
  )

  it.effect("a permutation that moves nothing outlives its source", () =>
    balanced(() => {
      const x = tf.tensor2d([[1, 2, 3]])
      const column = tf.transpose(x)
      x.dispose()
      const noise = tf.ones([3])
      assert.deepStrictEqual(column.shape, [3, 1])
      assert.deepStrictEqual([...values(column)], [1, 2, 3])
      noise.dispose()
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
})
