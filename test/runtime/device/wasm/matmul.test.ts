import { assert, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Device } from "../../../../runtime/device/Device.ts"
import { relativeError, values } from "../../tensor/closeness.ts"
import { balanced, gradients, memoryBytes, overwrite, random } from "./tensors.ts"

const layouts = [false, true].flatMap((turnA) => [false, true].map((turnB) => [turnA, turnB] as const))

/** Product of the last two axes in float64; axes before them are broadcast. */
const product = (a: tf.Tensor, b: tf.Tensor, turnA: boolean, turnB: boolean): Float64Array => {
  const [[rowsA, columnsA], [rowsB, columnsB]] = [a, b].map(({ shape }) => shape.slice(-2)) as [
    [number, number],
    [number, number]
  ]
  const [m, inner, n] = [turnA ? columnsA : rowsA, turnA ? rowsA : columnsA, turnB ? rowsB : columnsB]
  const batch = tf.backend_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))
  const index = (at: number, shape: ReadonlyArray<number>) => {
    let [rest, found, step] = [at, 0, 1]
    for (let axis = batch.length - 1, own = shape.length - 3; axis >= 0; axis--, own--) {
      const size = own < 0 ? 1 : shape[own]!
      if (size > 1) found += (rest % batch[axis]!) * step
      step *= size
      rest = Math.floor(rest / batch[axis]!)
    }
    return found
  }
  const [as, bs] = [values(a), values(b)]
  return Float64Array.from({ length: tf.util.sizeFromShape(batch) * m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n) % m, at % n]
    const startA = index(Math.floor(at / (m * n)), a.shape) * rowsA * columnsA
    const startB = index(Math.floor(at / (m * n)), b.shape) * rowsB * columnsB
    let sum = 0
    for (let k = 0; k < inner; k++)
      sum +=
        as[startA + (turnA ? k * columnsA + i : i * columnsA + k)]! *
        bs[startB + (turnB ? j * columnsB + k : k * columnsB + j)]!
    return sum
  })
}

const sizes = [1, 7, 8, 9, 13, 65]

layer(Device.layer("wasm"))("matmul on wasm", (it) => {
  for (const m of sizes)
    it.effect(`${m} rows by every inner and outer size, every layout, the same bits in each`, () =>
      balanced(() => {
        for (const inner of [...sizes, 2, 600])
          for (const n of sizes) {
            const [a, b] = [random("a", [m, inner]), random("b", [inner, n])]
            const expected = product(a, b, false, false)
            const plain = values(tf.matMul(a, b))
            assert.isBelow(relativeError(plain, expected), 1e-6, `${inner} ${n}`)
            for (const [turnA, turnB] of layouts) {
              const got = tf.matMul(turnA ? tf.transpose(a) : a, turnB ? tf.transpose(b) : b, turnA, turnB)
              assert.deepStrictEqual(got.shape, [m, n])
              assert.deepStrictEqual(values(got), plain, `${inner} ${n} ${turnA} ${turnB}`)
            }
          }
      })
    )

  for (const [batchA, batchB] of [
    [[3], [3]],
    [[1], [4]],
    [[5], []],
    [[], [5]],
    [
      [2, 1],
      [1, 3]
    ],
    [[2, 3], [3]],
    [
      [2, 1, 3],
      [2, 1]
    ],
    [[2, 0], [1]]
  ])
    it.effect(`batches [${batchA}] by [${batchB}]`, () =>
      balanced(() => {
        for (const [turnA, turnB] of layouts) {
          const a = random("a", [...batchA!, ...(turnA ? [7, 9] : [9, 7])])
          const b = random("b", [...batchB!, ...(turnB ? [13, 7] : [7, 13])])
          const got = tf.matMul(a, b, turnA, turnB)
          const batch = tf.backend_util.assertAndGetBroadcastShape(batchA!, batchB!)
          assert.deepStrictEqual(got.shape, [...batch, 9, 13])
          if (got.size > 0) assert.isBelow(relativeError(values(got), product(a, b, turnA, turnB)), 1e-6)
        }
      })
    )

  it.effect("no rows, no columns, an empty inner axis", () =>
    balanced(() => {
      for (const [turnA, turnB] of layouts)
        for (const [m, inner, n] of [
          [0, 3, 4],
          [3, 0, 4],
          [3, 4, 0]
        ] as const) {
          const got = tf.matMul(
            tf.zeros(turnA ? [inner, m] : [m, inner]),
            tf.zeros(turnB ? [n, inner] : [inner, n]),
            turnA,
            turnB
          )
          assert.deepStrictEqual(got.shape, [m, n])
          assert.deepStrictEqual([...values(got)], Array(m * n).fill(0))
        }
    })
  )

  it.effect("a row's bits depend neither on the other rows nor on its place among them", () =>
    balanced(() => {
      for (const [inner, n] of [
        [16, 64],
        [600, 21]
      ] as const) {
        const all = random<tf.Rank.R2>("rows", [240, inner])
        const weight = random<tf.Rank.R2>("weight", [n, inner])
        const whole = values(tf.matMul(all, weight, false, true))
        for (const turnA of [false, true])
          for (const turnB of [false, true])
            for (const count of [...Array.from({ length: 20 }, (_, i) => i + 1), 193])
              for (const first of [0, 1, 5, 47]) {
                const rows = tf.slice(all, [first, 0], [count, inner])
                const got = tf.matMul(
                  turnA ? tf.transpose(rows) : rows,
                  turnB ? weight : tf.transpose(weight),
                  turnA,
                  turnB
                )
                const expected = whole.slice(first * n, (first + count) * n)
                assert.deepStrictEqual(values(got), expected, `${count} from ${first} ${turnA} ${turnB}`)
              }
      }
    })
  )

  it.effect("gradients in every layout", () =>
    balanced(() => {
      for (const [turnA, turnB] of layouts) {
        const a = random("a", [4, ...(turnA ? [5, 9] : [9, 5])])
        const b = random("b", [4, ...(turnB ? [13, 5] : [5, 13])])
        const dy = random("dy", [4, 9, 13])
        const [da, db] = tf.grads((a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b, turnA, turnB))([a, b], dy)
        const expectedA = turnA ? product(b, dy, turnB, true) : product(dy, b, false, !turnB)
        const expectedB = turnB ? product(dy, a, true, turnA) : product(a, dy, !turnA, false)
        assert.isBelow(relativeError(values(da!), expectedA), 1e-6)
        assert.isBelow(relativeError(values(db!), expectedB), 1e-6)
      }
    })
  )

  it.effect("a product after values were written in place uses the new ones, fused or not", () =>
    balanced(() => {
      const [x, weight] = [random<tf.Rank.R2>("x", [4, 3]), random<tf.Rank.R2>("w", [3, 2])]
      const activation = "relu" as const
      const relu = () => product(x, weight, false, false).map((value) => Math.max(0, value))
      for (const label of ["w", "other"]) {
        overwrite(weight, label)
        assert.isBelow(relativeError(values(tf.matMul(x, weight)), product(x, weight, false, false)), 1e-6)
        assert.isBelow(relativeError(values(tf.fused.matMul({ a: x, b: weight, activation })), relu()), 1e-6)
      }
    })
  )

  it.effect("a product after a parameter was given another value uses it", () =>
    balanced(() => {
      const x = random("x", [4, 3])
      const weight = tf.variable(random("w", [3, 2]))
      assert.isBelow(relativeError(values(tf.matMul(x, weight)), product(x, weight, false, false)), 1e-6)
      weight.assign(random("other", [3, 2]))
      assert.isBelow(relativeError(values(tf.matMul(x, weight)), product(x, weight, false, false)), 1e-6)
      weight.dispose()
    })
  )

  it.effect("fused: bias and every activation, values and gradients", () =>
    balanced(() => {
      const [a, b, bias] = [random<tf.Rank.R2>("a", [9, 7]), random<tf.Rank.R2>("b", [7, 5]), random("c", [5])]
      const dy = random("dy", [9, 5])
      const alpha = random("alpha", [5])
      for (const [activation, apply] of [
        ["linear", (x) => x],
        ["relu", tf.relu],
        ["relu6", tf.relu6],
        ["elu", tf.elu],
        ["sigmoid", tf.sigmoid],
        ["leakyrelu", (x) => tf.leakyRelu(x, 0.3)],
        ["prelu", (x) => tf.prelu(x, alpha)]
      ] as ReadonlyArray<[tf.fused.Activation, (x: tf.Tensor) => tf.Tensor]>) {
        const fused = tf.fused.matMul({
          ...{ a, b, bias, activation, leakyreluAlpha: 0.3 },
          ...(activation === "prelu" ? { preluActivationWeights: alpha } : {})
        })
        const plain = apply(tf.add(tf.matMul(a, b), bias))
        assert.deepStrictEqual(values(fused), values(plain), activation)
      }
      const one = tf.grads((a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor) =>
        tf.fused.matMul({ a: a as tf.Tensor2D, b: b as tf.Tensor2D, bias, activation: "relu" })
      )([a, b, bias], dy)
      const other = tf.grads((a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor) => tf.relu(tf.add(tf.matMul(a, b), bias)))(
        [a, b, bias],
        dy
      )
      for (const [i, gradient] of one.entries())
        assert.isBelow(relativeError(values(gradient), values(other[i]!)), 1e-6)
    })
  )

  it.effect("prelu sees values written in place", () =>
    balanced(() => {
      const [x, alpha] = [random("x", [6, 5]), random("alpha", [5])]
      for (const label of ["alpha", "other"]) {
        overwrite(alpha, label)
        const slopes = values(alpha)
        const expected = values(x).map((value, i) => (value > 0 ? value : value * slopes[i % 5]!))
        assert.deepStrictEqual(values(tf.prelu(x, alpha)), expected)
      }
    })
  )

  it.effect("einsum: one and two tensors", () =>
    balanced(() => {
      const [q, k] = [random("q", [2, 3, 5, 4]), random("k", [2, 3, 6, 4])]
      const scores = tf.einsum("bhqd,bhkd->bhqk", q, k)
      assert.deepStrictEqual(values(scores), values(tf.matMul(q, k, false, true)))
      const [a, b] = [random("a", [3, 4]), random("b", [4, 5])]
      assert.deepStrictEqual(values(tf.einsum("ij,jk->ki", a, b)), values(tf.transpose(tf.matMul(a, b))))
      assert.deepStrictEqual(values(tf.einsum("ij->ji", a)), values(tf.transpose(a)))
      assert.isBelow(relativeError(values(tf.einsum("ij->j", a)), values(tf.sum(a, 0))), 1e-6)
      const inner = tf.einsum("ij,ij->", a, a)
      assert.deepStrictEqual(inner.shape, [])
      assert.isBelow(relativeError(values(inner), values(tf.sum(tf.square(a)))), 1e-6)
      const outer = tf.einsum("ij,kl->ljki", a, b)
      const expected = tf.transpose(tf.mul(tf.reshape(a, [3, 4, 1, 1]), tf.reshape(b, [1, 1, 4, 5])), [3, 1, 2, 0])
      assert.deepStrictEqual(values(outer), values(expected))
      const summed = tf.einsum("ij,kl->il", a, b)
      assert.isBelow(relativeError(values(summed), values(tf.outerProduct(tf.sum(a, 1), tf.sum(b, 0)))), 1e-6)
    })
  )

  it.effect("memory stays as large as it is, however often it is used", () =>
    balanced(() => {
      const [a, b] = [random("a", [300, 200]), random("b", [200, 300])]
      const image = random<tf.Rank.R4>("x", [2, 30, 30, 8])
      const filter = random<tf.Rank.R4>("f", [3, 3, 8, 8])
      const round = () =>
        tf.tidy(() => {
          for (const [turnA, turnB] of layouts)
            tf.matMul(turnA ? tf.transpose(a) : a, turnB ? tf.transpose(b) : b, turnA, turnB)
          gradients((x, f) => tf.conv2d(x!, f!, 1, "same"), [image, filter])
        })
      for (let i = 0; i < 3; i++) round()
      const before = memoryBytes()
      for (let i = 0; i < 100; i++) round()
      assert.strictEqual(memoryBytes(), before)
    })
  )

  it.effect("refuses what it cannot multiply", () =>
    balanced(() => {
      const ints = tf.zeros([2, 2], "int32")
      assert.throws(() => tf.matMul(ints, ints), /int32/)
    })
  )
})
