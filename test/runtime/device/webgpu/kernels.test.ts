/** Every kernel of ours, its value and its gradient, against float64 references written here. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { afterAll, beforeAll } from "vitest"
import type { Opened } from "../../../../runtime/device/Opened.ts"
import { open } from "../../../../runtime/device/webgpu/open.ts"
import { call, hasKernel } from "../../../../runtime/tensor/operations.ts"
import { attention, differences, distance, missing, numbers, type Reference, skip } from "./support.ts"

type Shapes = Readonly<Record<string, ReadonlyArray<number>>>

/** Runs a kernel and its gradient as `operation` does, and holds both to the reference. */
const check = async (name: string, shapes: Shapes, attributes: object, reference: Reference): Promise<void> => {
  assert.isTrue(hasKernel(name) && hasKernel(`${name}Gradient`), `kernels of ${name}`)
  const names = Object.keys(shapes)
  const host = names.map((input, stream) => numbers(tf.util.sizeFromShape([...shapes[input]!]), stream))
  const inputs = Object.fromEntries(names.map((input, i) => [input, tf.tensor(host[i]!, [...shapes[input]!])]))
  const wide = host.map((values) => Float64Array.from(values))
  const [value, ...kept] = call(name, inputs, attributes)
  assert.isBelow(distance(await value!.data(), reference(wide)), 2e-6, `${name}: value`)
  const slope = numbers(value!.size, 7)
  const dy = tf.tensor(slope, value!.shape)
  const keptInputs = Object.fromEntries(kept.map((tensor, i) => [`kept${i}`, tensor]))
  const gradients = call(`${name}Gradient`, { ...inputs, ...keptInputs, dy }, attributes)
  const expected = differences(reference, wide, slope)
  for (const [i, input] of names.entries()) {
    assert.deepStrictEqual(gradients[i]!.shape, [...shapes[input]!])
    assert.isBelow(distance(await gradients[i]!.data(), expected[i]!), 5e-6, `${name}: gradient in ${input}`)
  }
  const again = call(`${name}Gradient`, { ...inputs, ...keptInputs, dy }, attributes)
  for (const [i, gradient] of gradients.entries())
    assert.deepStrictEqual(await again[i]!.data(), await gradient.data(), `${name}: the same bits again`)
  tf.dispose([...Object.values(inputs), value!, ...kept, dy, ...gradients, ...again])
}

const heads = { heads: 4, keyValueHeads: 2, headDim: 6, ropeTheta: 100 }

if (missing !== undefined) skip("the kernels of the webgpu device")
else
  describe("webgpu kernels", () => {
    let opened: Opened
    let tensors: number
    beforeAll(async () => {
      opened = await open()
      tensors = tf.memory().numTensors
    })
    afterAll(async () => {
      assert.strictEqual(tf.memory().numTensors, tensors)
      await opened.close!()
    })

    it("RmsNorm, over more rows than one run of the weight's gradient", () =>
      check("RmsNorm", { x: [35, 5], weight: [5] }, { epsilon: 1e-3 }, ([x, weight]) =>
        x!.map((value, i) => {
          const row = x!.subarray(i - (i % 5), i - (i % 5) + 5)
          const mean = row.reduce((sum, other) => sum + other * other, 0) / 5
          return (value / Math.sqrt(mean + 1e-3)) * weight![i % 5]!
        })
      ))

    it("SwiGlu", () =>
      check("SwiGlu", { gate: [3, 100], up: [3, 100] }, {}, ([gate, up]) =>
        gate!.map((g, i) => (g / (1 + Math.exp(-g))) * up![i]!)
      ))

    it("SwiGlu far out", async () => {
      const gate = tf.tensor2d([[-200, 200, -90, 90]])
      const up = tf.ones([1, 4])
      const [y] = call("SwiGlu", { gate, up })
      const [dGate, dUp] = call("SwiGluGradient", { gate, up, dy: up })
      for (const [actual, expected] of [
        [y, [0, 200, 0, 90]],
        [dGate, [0, 1, 0, 1]],
        [dUp, [0, 200, 0, 90]]
      ] as const)
        assert.isBelow(distance(await actual!.data(), expected), 1e-6)
      tf.dispose([gate, up, y!, dGate!, dUp!])
    })

    it("LogProbs, over more tokens than threads", () => {
      const targets = Int32Array.of(0, 299, 17)
      return check("LogProbs", { logits: [3, 300] }, { targets }, ([logits]) =>
        Float64Array.from(targets, (target, n) => {
          const row = logits!.subarray(n * 300, (n + 1) * 300)
          return row[target]! - Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))
        })
      )
    })

    it("LogProbs of large logits", async () => {
      const logits = tf.tensor2d([[5000, 5001, -5000]])
      const [y, ...kept] = call("LogProbs", { logits }, { targets: Int32Array.of(0) })
      assert.closeTo((await y!.data())[0]!, -1.3132616875, 1e-6)
      tf.dispose([logits, y!, ...kept])
    })

    it("GatherRows and ScatterRows, rows repeated, missing and none", async () => {
      const rows = Int32Array.of(4, 0, 4, 2, 4)
      const x = tf.tensor2d(numbers(15, 0), [5, 3])
      const host = numbers(15, 0)
      const [gathered] = call("GatherRows", { x }, { rows })
      assert.deepStrictEqual(
        [...(await gathered!.data())],
        [...rows].flatMap((row) => [...host.subarray(3 * row, 3 * row + 3)])
      )
      const [scattered] = call("ScatterRows", { x }, { rows, count: 6 })
      const sums = new Float32Array(18)
      for (const [from, row] of rows.entries()) for (let d = 0; d < 3; d++) sums[3 * row + d]! += host[3 * from + d]!
      assert.deepStrictEqual([...(await scattered!.data())], [...sums])
      const [nothing] = call("GatherRows", { x }, { rows: new Int32Array(0) })
      assert.deepStrictEqual([nothing!.shape, (await nothing!.data()).length], [[0, 3], 0])
      const [zeros] = call("ScatterRows", { x: nothing! }, { rows: new Int32Array(0), count: 2 })
      assert.deepStrictEqual([...(await zeros!.data())], [0, 0, 0, 0, 0, 0])
      assert.throws(() => call("GatherRows", { x }, { rows: Int32Array.of(5) }), RangeError)
      assert.throws(() => call("ScatterRows", { x }, { rows, count: 4 }), RangeError)
      tf.dispose([x, gathered!, scattered!, nothing!, zeros!])
    })

    it("CausalAttention: grouped heads, sequences shorter and longer than a tile", () => {
      const lengths = [3, 19, 1]
      const shapes = { q: [23, 24], k: [23, 12], v: [23, 12] }
      const attributes = { ...heads, lengths: Int32Array.from(lengths) }
      return check("CausalAttention", shapes, attributes, attention(lengths, heads))
    })

    it("CausalAttention: heads of more coordinates than a tile's side", () => {
      const wide = { heads: 1, keyValueHeads: 1, headDim: 20, ropeTheta: 1e4 }
      const shapes = { q: [4, 20], k: [4, 20], v: [4, 20] }
      return check("CausalAttention", shapes, { ...wide, lengths: Int32Array.of(4) }, attention([4], wide))
    })

    it("CausalAttention: a row's bits depend on its own sequence only", async () => {
      const run = async (lengths: ReadonlyArray<number>, from: number) => {
        const rows = lengths.reduce((sum, length) => sum + length, 0)
        const [q, k, v] = [24, 12, 12].map((width, stream) =>
          tf.tensor2d(numbers(23 * width, stream).subarray(from * width, (from + rows) * width), [rows, width])
        ) as [tf.Tensor, tf.Tensor, tf.Tensor]
        const out = call("CausalAttention", { q, k, v }, { ...heads, lengths: Int32Array.from(lengths) })
        const values = await out[0]!.data<"float32">()
        tf.dispose([q, k, v, ...out])
        return values
      }
      const all = await run([3, 19, 1], 0)
      assert.deepStrictEqual(await run([19], 3), all.slice(3 * 24, 22 * 24))
    })

    it("CachedAttention: a prompt, single steps and strangers between, over more positions than a workgroup", async () => {
      const [length, other] = [70, 2]
      const rows = length + other
      const [q, k, v] = [24, 12, 12].map((width, stream) => numbers(rows * width, stream)) as [
        Float32Array,
        Float32Array,
        Float32Array
      ]
      const wide = [q, k, v].map((values) => Float64Array.from(values))
      const expected = attention([length, other], heads)(wide)
      const [keys, values] = [tf.zeros([3, 80, 12]), tf.zeros([3, 80, 12])]
      // Sequence one in slot 2, sequence two in slot 0: 68 rows of a prompt, then two steps of both at once.
      const steps = [Array.from({ length: 68 }, (_, i) => i), [68, length], [length + 1, 69]]
      for (const step of steps) {
        const slots = Int32Array.from(step, (row) => (row < length ? 2 : 0))
        const positions = Int32Array.from(step, (row) => (row < length ? row : row - length))
        const [tq, tk, tv] = [q, k, v].map((source, i) => {
          const width = i === 0 ? 24 : 12
          const picked = step.flatMap((row) => [...source.subarray(row * width, (row + 1) * width)])
          return tf.tensor2d(picked, [step.length, width])
        }) as [tf.Tensor, tf.Tensor, tf.Tensor]
        const inputs = { q: tq, k: tk, v: tv, keys, values }
        const [y] = call("CachedAttention", inputs, { ...heads, slots, positions })
        const wanted = step.flatMap((row) => [...expected.subarray(row * 24, (row + 1) * 24)])
        assert.isBelow(distance(await y!.data(), wanted), 2e-6)
        tf.dispose([tq, tk, tv, y!])
      }
      const cached = await values.data<"float32">()
      assert.deepStrictEqual(cached.slice(0, 24), v.slice(length * 12))
      assert.deepStrictEqual(cached.slice(2 * 80 * 12, (2 * 80 + length) * 12), v.slice(0, length * 12))
      assert.isTrue(cached.subarray(80 * 12, 2 * 80 * 12).every((value) => value === 0))
      tf.dispose([keys, values])
    })

    it("AdamW, in place", async () => {
      const rule = {
        scale: 0.5,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        size: 0.01,
        correction: 31.6,
        keep: 0.999
      }
      const host = [0, 1, 2, 3].map((stream) => numbers(300, stream)) as [
        Float32Array,
        Float32Array,
        Float32Array,
        Float32Array
      ]
      host[2] = host[2].map((value, i) => (i % 2 === 0 ? 0 : Math.abs(value))) // half as at the first step
      const [parameter, first, second, gradient] = host.map((values) => tf.tensor1d(values)) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
        tf.Tensor
      ]
      assert.deepStrictEqual(call("AdamW", { parameter, first, second, gradient }, rule), [])
      const expected = [new Float64Array(300), new Float64Array(300), new Float64Array(300)]
      for (let i = 0; i < 300; i++) {
        const g = host[3][i]! * rule.scale
        const m = rule.beta1 * host[1][i]! + (1 - rule.beta1) * g
        const v = rule.beta2 * host[2][i]! + (1 - rule.beta2) * g * g
        expected[0]![i] = rule.keep * host[0][i]! - (rule.size * m) / (Math.sqrt(v) * rule.correction + rule.epsilon)
        expected[1]![i] = m
        expected[2]![i] = v
      }
      for (const [i, tensor] of [parameter, first, second].entries())
        assert.isBelow(distance(await tensor.data(), expected[i]!), 2e-7)
      tf.dispose([parameter, first, second, gradient])
    })

    it("SumOfSquares, over several workgroups", async () => {
      for (const count of [1, 300, 70_001]) {
        const host = numbers(count, 0)
        const x = tf.tensor1d(host)
        const [sum] = call("SumOfSquares", { x })
        assert.deepStrictEqual(sum!.shape, [])
        const expected = host.reduce((sum, value) => sum + value * value, 0)
        assert.isBelow(Math.abs((await sum!.data())[0]! / expected - 1), 3e-7)
        tf.dispose([x, sum!])
      }
    })

    it("matMul broadcasts batches on both sides", async () => {
      for (const [batchA, batchB] of [
        [
          [2, 1],
          [1, 3]
        ],
        [
          [2, 3],
          [2, 1]
        ],
        [[3], [2, 3]]
      ] as const) {
        const [hostA, hostB] = [numbers(6 * 4, 0), numbers(6 * 4, 1)]
        const a = tf.tensor(hostA.slice(0, tf.util.sizeFromShape([...batchA]) * 4), [...batchA, 2, 2])
        const b = tf.tensor(hostB.slice(0, tf.util.sizeFromShape([...batchB]) * 4), [...batchB, 2, 2])
        const y = tf.matMul(a, b)
        assert.deepStrictEqual(y.shape, [2, 3, 2, 2])
        const expected: Array<number> = []
        const at = (batch: ReadonlyArray<number>, i: number, j: number) =>
          4 * (batch.length === 1 ? j : (batch[0] === 1 ? 0 : i) * batch[1]! + (batch[1] === 1 ? 0 : j))
        for (let i = 0; i < 2; i++)
          for (let j = 0; j < 3; j++)
            for (const [row, column] of [
              [0, 0],
              [0, 1],
              [1, 0],
              [1, 1]
            ] as const) {
              const [x, w] = [at(batchA, i, j), at(batchB, i, j)]
              expected.push(hostA[x + 2 * row]! * hostB[w + column]! + hostA[x + 2 * row + 1]! * hostB[w + 2 + column]!)
            }
        assert.isBelow(distance(await y.data(), expected), 1e-6, `[${batchA}] x [${batchB}]`)
        tf.dispose([a, b, y])
      }
    })

    it("matMul over a long inner dimension gives the same bits every time", async () => {
      const a = tf.tensor2d(numbers(16 * 4096, 0), [16, 4096])
      const bits = async () => {
        const y = tf.matMul(a, a, false, true)
        const values = await y.data()
        y.dispose()
        return values
      }
      const first = await bits()
      for (let i = 0; i < 5; i++) assert.deepStrictEqual(await bits(), first)
      a.dispose()
    })

    it("the gradient of gather sums in order", async () => {
      const x = tf.tensor2d(numbers(12, 0), [4, 3])
      const dy = tf.tensor2d(numbers(15, 1), [5, 3])
      const ids = [3, 0, 3, 3, 1]
      const dx = tf.grad((x: tf.Tensor) => tf.gather(x, ids))(x, dy)
      const host = numbers(15, 1)
      const expected = new Float32Array(12)
      for (const [from, row] of ids.entries()) for (let d = 0; d < 3; d++) expected[3 * row + d]! += host[3 * from + d]!
      assert.deepStrictEqual([...(await dx.data())], [...expected])
      tf.dispose([x, dy, dx])
    })
  })
