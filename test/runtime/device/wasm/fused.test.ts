/** The fused operations of both wasm builds against the same formulas in float64, and their independence of the batch. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { builds } from "../../../../runtime/device/wasm/build.ts"
import { type Heap, heapOf } from "../../../../runtime/device/wasm/host.ts"
import { open } from "../../../../runtime/device/wasm/open.ts"
import { cachedAttention } from "../../../../runtime/tensor/cachedAttention.ts"
import { causalAttention, type Heads } from "../../../../runtime/tensor/causalAttention.ts"
import { gatherRows, scatterRows } from "../../../../runtime/tensor/gatherRows.ts"
import { logProbs } from "../../../../runtime/tensor/logProbs.ts"
import { call } from "../../../../runtime/tensor/operations.ts"
import { rmsNorm } from "../../../../runtime/tensor/rmsNorm.ts"
import { swiGlu } from "../../../../runtime/tensor/swiGlu.ts"
import { normals, relativeError, values } from "../../tensor/closeness.ts"
import * as Exact from "./exact.ts"

const matrix = (label: string, rows: number, columns: number, deviation = 1) =>
  tf.tensor2d(normals(label, rows * columns, deviation), [rows, columns])

/** Value and gradients of an operation under given slopes of its result. */
const evaluate = <Inputs extends ReadonlyArray<tf.Tensor>>(
  operation: (...inputs: Inputs) => tf.Tensor,
  inputs: Inputs,
  slopes: tf.Tensor
) =>
  tf.tidy(() => {
    const run = tf.valueAndGrads((...given) => operation(...(given as unknown as Inputs)))
    const { grads, value } = run([...inputs], slopes)
    return { value: values(value), gradients: grads.map(values) }
  })

const near = (got: ArrayLike<number>, expected: ArrayLike<number>, bound: number, what: string) => {
  if (Array.from(expected).some((x) => x !== 0)) assert.isBelow(relativeError(got, expected), bound, what)
  else assert.deepStrictEqual(Array.from(got, Math.abs), Array.from(expected, Math.abs), what)
}

/** Bits, so that NaN equals itself and 0 does not equal -0. */
const bits = (x: Float32Array) => Array.from(new Int32Array(x.slice().buffer))

const sizes = [
  [1, 1],
  [3, 5],
  [5, 17],
  [17, 63],
  [65, 64],
  [9, 65]
] as const

const heap = (): Heap => heapOf(tf.engine().backend)

/** Distance in units of the last place of the float32 number nearest to `exact`. */
const unitsOff = (got: number, exact: number) => {
  const unit = 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(exact)))) - 23)
  return Math.abs(got - exact) / unit
}

for (const build of Object.keys(builds) as ReadonlyArray<keyof typeof builds>)
  describe(`fused operations, ${build}`, () => {
    const forced = process.env.PREFLINE_WASM
    beforeAll(async () => {
      process.env.PREFLINE_WASM = build
      const factory = tf.findBackendFactory("wasm")
      tf.removeBackend("wasm")
      tf.registerBackend("wasm", factory)
      const { numerics } = await open()
      assert.include(numerics.kernels, build)
      tf.engine().startScope()
    })
    afterAll(() => {
      tf.engine().endScope()
      if (forced === undefined) delete process.env.PREFLINE_WASM
      else process.env.PREFLINE_WASM = forced
    })

    const exps = (xs: Float32Array) =>
      tf.tidy(() => {
        const x = tf.tensor1d(xs)
        const out = tf.zerosLike(x)
        const { expScratch, exps } = heap().exports
        heap().withScratch(expScratch!(), (scratch) =>
          exps!(heap().address(x), heap().address(out), xs.length, scratch)
        )
        return values(out)
      })

    it("exp is within 2 units in the last place on its whole range", () => {
      const points = [
        Float32Array.from({ length: 1 << 20 }, (_, i) => -87.336 + (i / (1 << 20)) * (88.37 + 87.336)),
        Float32Array.from({ length: 1 << 18 }, (_, i) => -2 + i / (1 << 16)),
        Float32Array.from({ length: 1001 }, (_, i) => (i - 500) * 2e-9)
      ]
      for (const xs of points) {
        let worst = 0
        exps(xs).forEach((got, i) => {
          worst = Math.max(worst, unitsOff(got, Math.exp(xs[i]!)))
        })
        assert.isAtMost(worst, 2)
      }
    })

    it("exp outside its range", () => {
      const got = exps(Float32Array.from([-88, -1e9, -Infinity, 0, -0, Number.NaN, 200, Infinity]))
      assert.deepStrictEqual([...got.subarray(0, 5)], [0, 0, 0, 1, 1])
      assert.isNaN(got[5])
      assert.approximately(got[6]! / Math.exp(Math.fround(88.37)), 1, 1e-6)
      assert.strictEqual(got[7], got[6])
    })

    it("log is within 1 unit in the last place of float64", () => {
      const { log } = heap().exports
      for (let i = 0; i < 1e5; i++) {
        const x = i < 5e4 ? 1 + i / 5e3 : 2 ** ((i - 7.5e4) / 50)
        const unit = Math.max(2 ** (Math.floor(Math.log2(Math.abs(Math.log(x)))) - 52), Number.MIN_VALUE)
        assert.isAtMost(Math.abs(log!(x) - Math.log(x)), 2 * unit, `log(${x})`) // the host's own is off by up to 1
      }
    })

    for (const [rows, width] of sizes) {
      it(`rmsNorm ${rows} x ${width}`, () => {
        const [x, weight] = [matrix("x", rows, width, 3), matrix("weight", 1, width)]
        const dy = matrix("dy", rows, width)
        const got = evaluate(
          (x, weight) => rmsNorm(x as tf.Tensor2D, weight as tf.Tensor1D, 1e-5),
          [x, weight.reshape([width])],
          dy
        )
        const exact = Exact.rmsNorm(values(x), values(weight), values(dy), rows, width, 1e-5)
        near(got.value, exact.value, 3e-7, "value")
        // With one column the gradient of x is a difference that all but vanishes.
        if (width > 1) near(got.gradients[0]!, exact.gradients[0]!, 5e-7, "gradient of x")
        near(got.gradients[1]!, exact.gradients[1]!, 3e-7, "gradient of the weight")
      })

      it(`swiGlu ${rows} x ${width}`, () => {
        const [gate, up, dy] = [matrix("gate", rows, width, 4), matrix("up", rows, width), matrix("dy", rows, width)]
        const got = evaluate((gate, up) => swiGlu(gate as tf.Tensor2D, up as tf.Tensor2D), [gate, up], dy)
        const exact = Exact.swiGlu(values(gate), values(up), values(dy))
        near(got.value, exact.value, 3e-7, "value")
        exact.gradients.forEach((gradient, i) => {
          near(got.gradients[i]!, gradient, 5e-7, `gradient ${i}`)
        })
      })

      it(`logProbs ${rows} x ${width}`, () => {
        const logits = matrix("logits", rows, width, 5)
        const targets = Int32Array.from({ length: rows }, (_, row) => (row * 7) % width)
        const dy = matrix("dy", 1, rows).reshape([rows])
        const got = evaluate((logits) => logProbs(logits as tf.Tensor2D, targets), [logits], dy)
        const exact = Exact.logProbs(values(logits), targets, values(dy), rows, width)
        if (width > 1) {
          near(got.value, exact.value, 3e-7, "value")
          near(got.gradients[0]!, exact.gradients[0]!, 5e-7, "gradient")
        } else assert.deepStrictEqual([...got.value, ...got.gradients[0]!], [0, 0])
      })

      it(`gatherRows and scatterRows ${rows} x ${width}`, () => {
        const picks = Int32Array.from({ length: rows + 2 }, (_, i) => (i * i) % rows)
        const [x, y] = [matrix("x", rows, width), matrix("y", rows + 2, width)]
        const gathered = Exact.gatherRows(values(x), picks, width)
        const scattered = Exact.scatterRows(values(y), picks, rows, width)
        const gather = evaluate((x) => gatherRows(x as tf.Tensor2D, picks), [x], y)
        assert.deepStrictEqual(gather.value, gathered)
        assert.deepStrictEqual(gather.gradients[0], scattered)
        const scatter = evaluate((y) => scatterRows(y as tf.Tensor2D, picks, rows), [y], x)
        assert.deepStrictEqual(scatter.value, scattered)
        assert.deepStrictEqual(scatter.gradients[0], gathered)
      })
    }

    it("logProbs of a large vocabulary, of logits far from zero, and of infinite and undefined ones", () => {
      const [rows, width] = [6, 1023]
      const targets = Int32Array.from({ length: rows }, (_, row) => row * 200)
      const shifted = normals("logits", rows * width).map((logit, i) => logit + 1000 * Math.floor(i / width))
      const dy = normals("dy", rows)
      const got = evaluate(
        (logits) => logProbs(logits as tf.Tensor2D, targets),
        [tf.tensor2d(shifted, [rows, width])],
        tf.tensor1d(dy)
      )
      const exact = Exact.logProbs(shifted, targets, dy, rows, width)
      near(got.value, exact.value, 2e-7, "value")
      near(got.gradients[0]!, exact.gradients[0]!, 5e-7, "gradient")
      const odd = tf.tensor2d([
        [1000, 0, -1000],
        [-3e4, -3e4, -3e4],
        [0, -Infinity, 0],
        [Number.NaN, 0, 0],
        [0, Infinity, 0]
      ])
      const [far, even, excluded, ...undefinedOnes] = values(logProbs(odd, Int32Array.from([2, 1, 0, 1, 1])))
      assert.strictEqual(far, -2000)
      assert.closeTo(even!, -Math.log(3), 1e-7)
      assert.closeTo(excluded!, -Math.log(2), 1e-7)
      for (const value of undefinedOnes) assert.isNaN(value)
    })

    for (const { heads, lengths } of layouts) {
      const { headDim, heads: count, keyValueHeads } = heads
      const rows = lengths.reduce((sum, length) => sum + length, 0)
      const widths = [count * headDim, keyValueHeads * headDim, keyValueHeads * headDim]
      const inputs = () => widths.map((width, i) => matrix(`qkv ${i}`, rows, width)) as [Matrix, Matrix, Matrix]
      const cut = Int32Array.from(lengths)

      it(`causalAttention of [${lengths}], ${count}/${keyValueHeads} heads of ${headDim}`, () => {
        const [q, k, v] = inputs()
        const dy = matrix("dy", rows, widths[0]!)
        const attend = (...[q, k, v]: ReadonlyArray<tf.Tensor>) =>
          causalAttention(q as Matrix, k as Matrix, v as Matrix, cut, heads)
        const got = evaluate(attend, [q, k, v], dy)
        const exact = Exact.causalAttention(values(q), values(k), values(v), values(dy), cut, heads)
        near(got.value, exact.value, 6e-7, "value")
        exact.gradients.forEach((gradient, i) => {
          near(got.gradients[i]!, gradient, 1e-6, `gradient ${i}`)
        })
      })

      it(`cachedAttention over [${lengths}], prompts first and then token by token, the same`, () => {
        const [q, k, v] = inputs()
        const none = new Float32Array(rows * widths[0]!)
        const exact = Exact.causalAttention(values(q), values(k), values(v), none, cut, heads)
        near(decode(inputs(), cut, heads), exact.value, 6e-7, "value")
      })
    }

    it("a row's result does not depend on the other rows or on its place among them", () => {
      for (const width of [5, 16, 63, 64, 65]) {
        const rows = 9
        const order = Int32Array.from([8, 3, 5, 5, 0, 7])
        const targets = Int32Array.from({ length: rows }, (_, row) => (row * 3) % width)
        const weight = matrix("weight", 1, width).reshape<tf.Tensor1D>([width])
        const operations: ReadonlyArray<readonly [string, (x: Matrix, y: Matrix, at: Int32Array) => tf.Tensor]> = [
          ["rmsNorm", (x) => rmsNorm(x, weight, 1e-6)],
          ["swiGlu", (x, y) => swiGlu(x, y)],
          ["logProbs", (x, _, at) => logProbs(x, at)]
        ]
        const [x, y] = [matrix("x", rows, width, 3), matrix("y", rows, width)]
        for (const [name, operation] of operations) {
          const run = (at: Int32Array) => {
            const given = [gatherRows(x, at), gatherRows(y, at)]
            const chosen = at.map((row) => targets[row]!)
            const apply = (...[x, y]: ReadonlyArray<tf.Tensor>) => {
              const out = operation(x as Matrix, y as Matrix, chosen)
              return name === "swiGlu" ? out : tf.add(out, tf.mul(0, tf.sum(y!)))
            }
            const slopes = name === "logProbs" ? tf.linspace(1, 1, at.length) : tf.cos(gatherRows(y, at))
            const { gradients, value } = evaluate(apply, given, slopes)
            const own = (all: Float32Array, i: number) =>
              bits(all).slice((i * all.length) / at.length, ((i + 1) * all.length) / at.length)
            return Array.from(at, (_, i) => [own(value, i), own(gradients[0]!, i)])
          }
          const all = run(Int32Array.from({ length: rows }, (_, row) => row))
          run(order).forEach((row, i) => {
            assert.deepStrictEqual(row, all[order[i]!], `${name}, width ${width}, row ${order[i]}`)
          })
          assert.deepStrictEqual(run(Int32Array.of(4))[0], all[4], `${name}, width ${width}, alone`)
        }
      }
    })

    it("a sequence's attention does not depend on the other sequences or on its place among them", () => {
      const lengths = [3, 65, 1, 17, 8]
      for (const headDim of [6, 16, 20, 32]) {
        const heads = { heads: 4, keyValueHeads: 2, headDim, ropeTheta: 1e4 }
        const sequence = (which: number) => {
          const part = (name: string, count: number) => matrix(`${which} ${name}`, lengths[which]!, count * headDim)
          return [part("q", 4), part("k", 2), part("v", 2), part("dy", 4)]
        }
        const run = (order: ReadonlyArray<number>) => {
          const parts = order.map(sequence)
          const [q, k, v, dy] = [0, 1, 2, 3].map((i) => tf.concat(parts.map((part) => part[i]!))) as Array<Matrix>
          const cut = Int32Array.from(order, (which) => lengths[which]!)
          const attend = (...[q, k, v]: ReadonlyArray<tf.Tensor>) =>
            causalAttention(q as Matrix, k as Matrix, v as Matrix, cut, heads)
          const { gradients, value } = evaluate(attend, [q!, k!, v!], dy!)
          const cached = decode([q!, k!, v!], cut, heads)
          let row = 0
          return new Map(
            order.map((which) => {
              const [from, to] = [row, row + lengths[which]!]
              row = to
              const rows = cut.reduce((sum, length) => sum + length, 0)
              const own = (all: Float32Array) =>
                bits(all.subarray((from * all.length) / rows, (to * all.length) / rows))
              return [which, [value, ...gradients, cached].map(own)] as const
            })
          )
        }
        const all = run([0, 1, 2, 3, 4])
        for (const order of [[4, 2, 1], [3, 0], [1], [2], [0]])
          for (const [which, own] of run(order))
            assert.deepStrictEqual(own, all.get(which), `sequence ${which} in [${order}], heads of ${headDim}`)
      }
    })

    it("neighbours that are not numbers do not reach another sequence or another row", () => {
      const heads = { heads: 1, keyValueHeads: 1, headDim: 6, ropeTheta: 1e4 }
      const bad = tf.fill([5, 6], Number.NaN) as Matrix
      const good = matrix("good", 3, 6)
      const all = tf.concat([bad, good, bad])
      const attend = (...[q, k, v]: ReadonlyArray<tf.Tensor>) =>
        causalAttention(q as Matrix, k as Matrix, v as Matrix, Int32Array.from([5, 3, 5]), heads)
      const { gradients, value } = evaluate(attend, [all, all, all], all)
      for (const x of [value, ...gradients]) {
        assert.isTrue(x.subarray(5 * 6, 8 * 6).every(Number.isFinite))
        assert.isFalse(x.subarray(0, 6).some(Number.isFinite))
      }
    })

    it("adamW updates in place as the float64 formula does", () => {
      for (const count of [1, 3, 5, 63, 64, 65]) {
        const rule = {
          scale: 0.3,
          beta1: 0.9,
          beta2: 0.999,
          epsilon: 1e-8,
          size: 2e-3,
          correction: 1.4,
          keep: 1 - 1e-6
        }
        const names = ["parameter", "first", "second", "gradient"] as const
        const given = names.map((name) => normals(name, count))
        given[2] = given[2]!.map(Math.abs)
        const tensors = Object.fromEntries(names.map((name, i) => [name, tf.tensor1d(given[i]!)]))
        assert.deepStrictEqual(call("AdamW", tensors, rule), [])
        const exact = Exact.adamW(given[0]!, given[1]!, given[2]!, given[3]!, rule)
        names.slice(0, 3).forEach((name, i) => {
          near(values(tensors[name]!), exact[i]!, 1e-7, `${name} of ${count}`)
        })
        assert.deepStrictEqual(values(tensors.gradient!), given[3])
      }
    })

    it("adamW holds the second moment over many steps, where beta2 in float32 would be off by 1e-5", () => {
      const rule = { scale: 1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, size: 0, correction: 1, keep: 1 }
      const [parameter, first, second, gradient] = [1, 0, 0, 0.37].map((x) => tf.fill([4], x))
      const tensors = { parameter: parameter!, first: first!, second: second!, gradient: gradient! }
      for (let step = 0; step < 5000; step++) call("AdamW", tensors, rule)
      assert.closeTo(values(second!)[0]! / (Math.fround(0.37) ** 2 * (1 - 0.999 ** 5000)), 1, 1e-6)
      assert.deepStrictEqual([...values(parameter!)], [1, 1, 1, 1])
    })

    it("adamW decays by the right amount on average, though it is less than a parameter's last place", () => {
      const given = normals("parameter", 1e4).map((x) => 1 + (Math.abs(x) % 1))
      const [first, second, gradient] = [0, 0, 0].map((x) => tf.fill([1e4], x))
      const parameter = tf.tensor1d(given)
      const rule = { scale: 1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, size: 0, correction: 1, keep: 1 - 1e-7 }
      call("AdamW", { parameter, first: first!, second: second!, gradient: gradient! }, rule)
      const lost = values(parameter).reduce((sum, x, i) => sum + (given[i]! - x), 0)
      assert.closeTo(lost / (1e-7 * given.reduce((sum, x) => sum + x, 0)), 1, 0.05)
    })

    it("adamW ends a first moment that fades out", () => {
      const [parameter, first, second, gradient] = [1, 1e-38, 1, 0].map((x) => tf.fill([4], x))
      const rule = { scale: 1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, size: 1, correction: 1, keep: 1 }
      call("AdamW", { parameter: parameter!, first: first!, second: second!, gradient: gradient! }, rule)
      assert.deepStrictEqual([...values(first!)], [0, 0, 0, 0])
    })

    it("sumOfSquares adds in float64", () => {
      for (const count of [0, 1, 3, 5, 63, 1000]) {
        const x = normals("x", count)
        const exact = x.reduce((sum, value) => sum + value * value, 0)
        const [got] = call("SumOfSquares", { x: tf.tensor1d(x) })
        assert.deepStrictEqual(got!.shape, [])
        assert.strictEqual(values(got!)[0], Math.fround(exact))
      }
      const [large] = call("SumOfSquares", { x: tf.tensor1d([4096, ...new Float32Array(4096).fill(0.5)]) })
      assert.strictEqual(values(large!)[0], 4096 ** 2 + 1024)
    })

    it("draw inverts the cumulative distribution in order of token id", () => {
      for (const [vocabulary, temperature] of [
        [1, 1],
        [5, 1],
        [63, 0.7],
        [65, 1.3],
        [1024, 1]
      ] as const) {
        const rows = 200
        const logits = normals("logits", rows * vocabulary, 3)
        const uniforms = Float64Array.from({ length: rows }, (_, row) => (row + 0.5) / rows)
        const drawn = call("Draw", { logits: tf.tensor2d(logits, [rows, vocabulary]) }, { temperature, uniforms })
        const tokens = drawn[0]!.dataSync<"int32">()
        const exact = Exact.draw(logits, uniforms, vocabulary, temperature)
        exact.forEach(({ below, logProbs, upTo }, row) => {
          const token = tokens[row]!
          assert.isAtMost(below[token]!, uniforms[row]! + 1e-6)
          assert.isAbove(upTo[token]!, uniforms[row]! - 1e-6)
          assert.closeTo(values(drawn[1]!)[row]!, logProbs[token]!, 1e-6 * Math.max(1, Math.abs(logProbs[token]!)))
        })
        // A row alone draws the same.
        const alone = call(
          "Draw",
          { logits: tf.tensor2d(logits.slice(7 * vocabulary, 8 * vocabulary), [1, vocabulary]) },
          { temperature, uniforms: uniforms.slice(7, 8) }
        )
        assert.strictEqual(alone[0]!.dataSync()[0], tokens[7])
        assert.deepStrictEqual(bits(values(alone[1]!)), bits(values(drawn[1]!).subarray(7, 8)))
      }
    })

    it("draw at temperature 0 takes the likeliest token, of equal ones the lowest id", () => {
      const logits = tf.tensor2d([
        [1, 3, 2, 3, 0],
        [-5, -5, -5, -5, -5]
      ])
      const [tokens, logProbs] = call("Draw", { logits }, { temperature: 0, uniforms: Float64Array.from([0.9, 0.9]) })
      assert.deepStrictEqual([...tokens!.dataSync()], [1, 0])
      assert.closeTo(values(logProbs!)[1]!, -Math.log(5), 1e-7)
    })

    it("rmsNorm of numbers whose squares leave float32", () => {
      const x = normals("wide", 2 * 21, 1).map((x, i) => (i < 21 ? x * 1e25 : x))
      const weight = normals("weight", 21)
      const out = (rows: number) =>
        values(tf.tidy(() => rmsNorm(tf.tensor2d(x.slice(0, 21 * rows), [rows, 21]), tf.tensor1d(weight), 1e-5)))
      const exact = Exact.rmsNorm(x, weight, new Float32Array(42), 2, 21, 1e-5)
      near(out(2), exact.value, 3e-7, "value")
      assert.deepStrictEqual(bits(out(1)), bits(out(2).subarray(0, 21)))
      const lost = values(tf.tidy(() => rmsNorm(tf.tensor2d([[Infinity, 1]]), tf.ones([2]), 1e-5)))
      assert.isNaN(lost[0])
    })

    it("draw at temperatures whose inverse is no float32 number", () => {
      const logits = Float32Array.from([1, 3, 2, 3, -Infinity])
      const draws = (temperature: number) =>
        [0, 0.4, 0.6, 0.99].map(
          (u) =>
            call(
              "Draw",
              { logits: tf.tensor2d(logits, [1, 5]) },
              { temperature, uniforms: Float64Array.of(u) }
            )[0]!.dataSync()[0]
        )
      for (const cold of [1e-38, 1e-39, 1e-300, Number.MIN_VALUE]) assert.deepStrictEqual(draws(cold), [1, 1, 3, 3])
      for (const hot of [1e39, 1e300, Number.MAX_VALUE]) assert.deepStrictEqual(draws(hot), [0, 1, 2, 3])
    })

    it("draw gives no probability to what has none, at either end of the interval", () => {
      const logits = tf.tensor2d([-Infinity, 0, -Infinity, 0, -200, -Infinity], [1, 6])
      const token = (u: number) =>
        call("Draw", { logits }, { temperature: 1, uniforms: Float64Array.of(u) })[0]!.dataSync()[0]
      assert.deepStrictEqual([token(0), token(0.49), token(0.51), token(1 - 2 ** -53)], [1, 1, 3, 3])
    })

    it("what lies outside is refused by the kernels themselves", () => {
      const refused = (name: string, inputs: Record<string, tf.Tensor>, attributes: object, message: string) =>
        assert.throws(() => call(name, inputs, attributes), RangeError, message)
      const x = tf.zeros([2, 4])
      const heads = { heads: 2, keyValueHeads: 2, headDim: 2, ropeTheta: 1e4 }
      const qkv = { q: x, k: x, v: x }
      const cache = { keys: tf.zeros([3, 5, 4]), values: tf.zeros([3, 5, 4]) }
      const rows = (...numbers: ReadonlyArray<number>) => Int32Array.from(numbers)
      refused("GatherRows", { x }, { rows: rows(0, 2) }, "row 2 is outside a matrix of 2 rows")
      refused("ScatterRows", { x }, { rows: rows(-1, 0), count: 9 }, "row -1 is outside a matrix of 9 rows")
      refused("ScatterRows", { x }, { rows: rows(0), count: 9 }, "1 row numbers for 2 rows")
      refused("LogProbs", { logits: x }, { targets: rows(0, 4) }, "target 4 is outside a vocabulary of 4")
      refused("LogProbs", { logits: x }, { targets: rows(0) }, "1 targets for 2 rows of logits")
      refused("CausalAttention", qkv, { ...heads, lengths: rows(1) }, "sequence lengths sum to 1, but there are 2 rows")
      refused("CausalAttention", qkv, { ...heads, lengths: rows(3, -1) }, "a sequence of -1 rows")
      refused(
        "CausalAttention",
        qkv,
        { ...heads, keyValueHeads: 3, lengths: rows(2) },
        "2 heads of 2 do not fit 3 key-value heads"
      )
      refused(
        "CachedAttention",
        { ...qkv, ...cache },
        { ...heads, slots: rows(0, 1), positions: rows(0, 5) },
        "position 5 is outside a cache of 5 positions"
      )
      refused(
        "CachedAttention",
        { ...qkv, ...cache },
        { ...heads, slots: rows(0, 3), positions: rows(0, 0) },
        "slot 3 is outside 3 slots"
      )
      refused("Draw", { logits: x }, { temperature: 1, uniforms: Float64Array.of(0) }, "1 uniform numbers for 2 rows")
      refused("Draw", { logits: x }, { temperature: -1, uniforms: Float64Array.of(0, 0) }, "temperature -1 is negative")
    })

    it("memory does not grow from call to call", () => {
      const heads = { heads: 4, keyValueHeads: 2, headDim: 16, ropeTheta: 77 }
      const [q, k, v] = [matrix("q", 300, 64), matrix("k", 300, 32), matrix("v", 300, 32)] as [Matrix, Matrix, Matrix]
      const step = (length: number) => {
        const cut = Int32Array.from({ length: 300 / length }, () => length)
        const attend = (...[q, k, v]: ReadonlyArray<tf.Tensor>) =>
          causalAttention(q as Matrix, k as Matrix, v as Matrix, cut, heads)
        evaluate(attend, [q, k, v], q)
        evaluate((x) => logProbs(x as Matrix, new Int32Array(300)), [q], tf.tensor1d(normals("dy", 300)))
      }
      const held = () => tf.engine().backend.numDataIds()
      const bytes = () => heap().floats(q).buffer.byteLength
      tf.tidy(() => step(5))
      const small = held()
      tf.tidy(() => step(300))
      assert.strictEqual(held(), small, "a rotary table that grew replaces the smaller one")
      const before = [held(), bytes(), tf.memory().numTensors]
      for (let i = 0; i < 40; i++) tf.tidy(() => step(i % 2 === 0 ? 5 : 300))
      assert.deepStrictEqual([held(), bytes(), tf.memory().numTensors], before)
    })
  })

type Matrix = tf.Tensor2D

const layouts: ReadonlyArray<{ readonly lengths: ReadonlyArray<number>; readonly heads: Heads }> = [
  { lengths: [1], heads: { heads: 1, keyValueHeads: 1, headDim: 2, ropeTheta: 1e4 } },
  { lengths: [5], heads: { heads: 1, keyValueHeads: 1, headDim: 4, ropeTheta: 1e4 } },
  { lengths: [1, 7, 0, 4], heads: { heads: 4, keyValueHeads: 2, headDim: 6, ropeTheta: 1e4 } },
  { lengths: [9, 3, 1, 1], heads: { heads: 6, keyValueHeads: 1, headDim: 8, ropeTheta: 500 } },
  { lengths: [17, 63], heads: { heads: 2, keyValueHeads: 1, headDim: 10, ropeTheta: 1e4 } },
  { lengths: [65], heads: { heads: 2, keyValueHeads: 2, headDim: 16, ropeTheta: 1e4 } },
  { lengths: [12, 63], heads: { heads: 3, keyValueHeads: 3, headDim: 22, ropeTheta: 1e4 } },
  { lengths: [2, 33], heads: { heads: 4, keyValueHeads: 4, headDim: 32, ropeTheta: 1e4 } },
  { lengths: [130], heads: { heads: 2, keyValueHeads: 1, headDim: 64, ropeTheta: 1e6 } },
  { lengths: [0, 0], heads: { heads: 2, keyValueHeads: 1, headDim: 8, ropeTheta: 1e4 } }
]

/** Each sequence's first third as a prompt in one call, then one token of every sequence still under way per call. */
const decode = (inputs: readonly [Matrix, Matrix, Matrix], lengths: Int32Array, heads: Heads): Float32Array =>
  tf.tidy(() => {
    const [q, k, v] = inputs
    const starts = Array.from(lengths, (_, i) => lengths.subarray(0, i).reduce((sum, length) => sum + length, 0))
    const capacity = Math.max(1, ...lengths)
    // What a slot held before must not matter.
    const before = () => tf.variable(tf.fill<tf.Rank.R3>([lengths.length + 1, capacity, k.shape[1]], Number.NaN), false)
    const cache = { keys: before(), values: before() }
    const out = new Float32Array(q.size)
    const prompts = Array.from(lengths, (length) => Math.ceil(length / 3))
    const step = (rows: ReadonlyArray<{ readonly sequence: number; readonly position: number }>) => {
      if (rows.length === 0) return
      const at = Int32Array.from(rows, ({ position, sequence }) => starts[sequence]! + position)
      const [qs, ks, vs] = [q, k, v].map((x) => gatherRows(x, at)) as [Matrix, Matrix, Matrix]
      const slots = Int32Array.from(rows, ({ sequence }) => lengths.length - sequence)
      const positions = Int32Array.from(rows, ({ position }) => position)
      const got = values(cachedAttention(qs, ks, vs, cache, { slots, positions }, heads))
      at.forEach((row, i) => {
        out.set(got.subarray(i * q.shape[1], (i + 1) * q.shape[1]), row * q.shape[1])
      })
    }
    step(prompts.flatMap((count, sequence) => Array.from({ length: count }, (_, position) => ({ sequence, position }))))
    for (let turn = 0; turn < capacity; turn++)
      step(
        prompts
          .map((count, sequence) => ({ sequence, position: count + turn }))
          .filter(({ position, sequence }) => position < lengths[sequence]!)
          .reverse()
      )
    cache.keys.dispose()
    cache.values.dispose()
    return out
  })
