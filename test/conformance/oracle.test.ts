/** The reference itself: against differences in float64, known values and the scalar model; and the suite against what it must catch. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Exit } from "effect"
import { Device } from "../../runtime/device/Device.ts"
import * as Reference from "../runtime/models/reference.ts"
import { apply, type Case } from "./Case.ts"
import { families } from "./cases/index.ts"
import { check, type Subject } from "./check.ts"
import * as Draw from "./draw.ts"
import * as O from "./oracle.ts"
import * as Tape from "./tape.ts"
import * as Whole from "./whole.ts"
import { FellBack, recording, watched } from "./witness.ts"

const cases = Object.values(families).flat()

describe("the reference", () => {
  it("has the gradients that fourth-order differences of its values have, in every case", () => {
    // Rounding is drawn at its jumps, where differences say nothing.
    for (const the of cases.filter(({ gradient, name }) => gradient && name !== "round")) {
      const draw = Draw.make(3, the.name, 0, 2)
      const sample = the.sample(draw)
      const slopes = Draw.make(3, "slopes", 0, 2)
      const evaluate = (inputs: ReadonlyArray<ArrayLike<number>>) => {
        const tape = Tape.make()
        const given = sample.inputs.map(({ dtype, shape }, i) => O.input(tape, shape, inputs[i]!, dtype))
        return { tape, given, ids: [sample.oracle(...given)].flat().flatMap(({ ids }) => ids) }
      }
      const at = sample.inputs.map(({ values }) => Float64Array.from(values))
      const { given, ids, tape } = evaluate(at)
      const weights = ids.map(() => slopes.normal())
      const { values } = Tape.backward(tape, ids, weights)
      const loss = (input: number, index: number, step: number) => {
        const moved = evaluate(at.with(input, at[input]!.with(index, at[input]![index]! + step)))
        return moved.ids.reduce((sum, id, i) => sum + weights[i]! * moved.tape.values[id]!, 0)
      }
      for (const [input, { constant }] of sample.inputs.entries()) {
        if (constant) continue
        for (let index = 0; index < Math.min(3, at[input]!.length); index++) {
          const h = 1e-3 * Math.min(1, Math.abs(at[input]![index]!))
          const f = (k: number) => loss(input, index, k * h)
          const difference = (8 * (f(1) - f(-1)) - (f(2) - f(-2))) / (12 * h)
          const exact = values[given[input]!.ids[index]!]!
          const scale = Math.abs(exact) + weights.reduce((sum, weight) => sum + Math.abs(weight), 0)
          assert.closeTo(difference, exact, 1e-6 * scale, `${the.name}, input ${input}, element ${index}`)
        }
      }
    }
  })

  it("knows some values from elsewhere", () => {
    const one = (name: O.Function, x: number) => O.valuesOf(O.unary(name)(O.input(Tape.make(), [], [x])))[0]!
    assert.closeTo(one("erf", 0.5), 0.5204998778130465, 1e-15)
    assert.closeTo(one("erf", -3), -0.9999779095030014, 1e-15)
    assert.closeTo(one("softplus", -40), 4.248354255291589e-18, 1e-32)
    assert.deepStrictEqual(
      [0.5, 1.5, 2.5, -0.5, -1.5, 2.4].map((x) => one("round", x) + 0),
      [0, 2, 2, 0, -2, 2]
    )
    const tape = Tape.make()
    const x = O.input(tape, [1, 2, 2, 1], [1, 2, 3, 4])
    const ones = O.input(tape, [2, 2, 1, 1], [1, 1, 1, 1])
    const sums = O.conv2d(x, ones, { strides: [1, 1], pad: "same" })
    assert.deepStrictEqual([...O.valuesOf(sums)], [10, 6, 7, 4])
    const spread = O.conv2dTranspose(x, ones, [1, 3, 3, 1], { strides: [1, 1], pad: "valid" })
    assert.deepStrictEqual([...O.valuesOf(spread)], [1, 3, 2, 4, 10, 6, 3, 7, 4])
  })

  it("its DPO loss of a Llama is that of the scalar model", () => {
    const { batch, config, weights } = Whole
    const parameters = Reference.widened(weights)
    const sums = Array.from({ length: batch.rows }, (_, row) => {
      const from = row * batch.columns
      const tokens = [...batch.tokens.subarray(from, from + batch.lengths[row]!)]
      const scores = Reference.tokenLogProbs(config, parameters, tokens)
      return scores.reduce((sum, score, t) => sum + (batch.mask[from + t + 1] ? score : 0), 0)
    })
    assert.closeTo(Whole.lossOf(sums), Whole.expected().loss, 1e-10)
  })
})

const subject = (kind: "cpu"): Effect.Effect<Subject, never, Device> =>
  Device.use(({ tensors }) => Effect.succeed({ kind, accuracy: {}, tensors }))

layer(Device.layer("cpu"))("the suite catches", (it) => {
  const named = (name: string): Case => cases.find((the) => the.name === name)!
  const options = { seed: 1, samples: 4, attempts: 10 }
  const faultOf = (the: Case, part: "forward" | "gradient" = "forward") =>
    Effect.flatMap(subject("cpu"), (subject) => Effect.promise(() => check(subject, the, part, options)))
  /** The case with its results spoiled on the device. */
  const spoiled = (name: string, spoil: (y: tf.Tensor) => tf.Tensor): Case => ({
    ...named(name),
    sample: (draw) => {
      const sample = named(name).sample(draw)
      return { ...sample, run: (...inputs) => spoil(apply(sample, inputs)[0]!) }
    }
  })

  it.effect("an error of a thousandth of a thousandth, and no error of rounding", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* faultOf(named("add")))
      assert.include(yield* faultOf(spoiled("add", (y) => tf.mul(y, 1 + 1e-6))), "add, forward, on cpu")
      assert.isUndefined(yield* faultOf(named("softmax"), "gradient"))
      const wrong = yield* faultOf(
        spoiled("softmax", (y) => tf.mul(y, 1.00001)),
        "gradient"
      )
      assert.include(wrong, "by input 0")
    })
  )

  it.effect("a wrong shape, a wrong type, an exception and a leak, and says how to see it again", () =>
    Effect.gen(function* () {
      assert.include(yield* faultOf(spoiled("add", (y) => tf.expandDims(y))), "has shape [1")
      assert.include(yield* faultOf(spoiled("equal", (y) => tf.cast(y, "int32"))), "is of type int32, not bool")
      const thrown = yield* faultOf(
        spoiled("add", () => {
          throw new Error("no such thing")
        })
      )
      assert.include(thrown, "threw Error: no such thing")
      assert.include(thrown, "PREFLINE_CONFORMANCE_SEED=1 npx vitest run test/conformance/cpu.test.ts")
      const kept: Array<tf.Tensor> = []
      const leaked = yield* faultOf(
        spoiled("add", (y) => {
          kept.push(tf.keep(tf.zeros([1])))
          return y
        })
      )
      assert.include(leaked, "1 tensors left behind")
      tf.dispose(kept)
    })
  )

  it.effect("values that are all zero where they should not be, and not a number", () =>
    Effect.gen(function* () {
      assert.isDefined(yield* faultOf(spoiled("mul", (y) => tf.mul(y, 0))))
      assert.include(yield* faultOf(spoiled("mul", (y) => tf.mul(y, Number.NaN))), "is NaN")
    })
  )
})

/** A second backend under a name of its own, to fall back to. */
const pretending = (name: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const factory = tf.findBackendFactory("cpu")
      tf.registerBackend(name, factory, 0)
      for (const kernel of tf.getKernelsForBackend("cpu")) tf.registerKernel({ ...kernel, backendName: name })
    }),
    () => Effect.sync(() => tf.removeBackend(name))
  )

layer(Device.layer("wasm"))("a silent fallback is caught", (it) => {
  const back = Effect.promise(() => tf.setBackend("wasm"))
  const caught = (run: () => ReadonlyArray<tf.Tensor>, message: string) =>
    assert.throws(() => tf.tidy(() => [...watched("wasm", run)]), FellBack, message)

  it.effect("before, during and after an operation", () =>
    Effect.scoped(
      Effect.gen(function* () {
        yield* Effect.addFinalizer(() => back)
        const [x] = yield* Effect.acquireRelease(
          Effect.sync(() => [tf.tensor1d([1, 2])] as const),
          ([x]) => Effect.sync(() => x.dispose())
        )
        assert.strictEqual(watched("wasm", () => [tf.keep(tf.exp(x))]).map((y) => y.dispose()).length, 1)
        yield* Effect.promise(() => tf.setBackend("cpu"))
        caught(() => [tf.exp(tf.tensor1d([1]))], 'before the operation the current backend is "cpu", not "wasm"')
        yield* back
        caught(() => {
          tf.setBackend("cpu")
          return [tf.exp(tf.tensor1d([1]))]
        }, 'at kernel Exp the current backend is "cpu"')
        yield* back
        caught(() => {
          const y = tf.exp(x)
          tf.setBackend("cpu")
          return [y]
        }, 'after the operation the current backend is "cpu"')
      })
    )
  )

  it.effect("in a program that goes on in between", () =>
    Effect.gen(function* () {
      const away = Effect.gen(function* () {
        yield* Effect.promise(() => tf.setBackend("cpu"))
        tf.tidy(() => tf.exp(tf.tensor1d([1])))
      })
      const exit = yield* Effect.exit(recording("wasm", away, () => {}))
      yield* back
      assert.isTrue(Exit.isFailure(exit))
      assert.include(String(exit), "FellBack")
    })
  )

  it.effect("behind the device's own name", () =>
    Effect.scoped(
      Effect.gen(function* () {
        yield* Effect.addFinalizer(() => back)
        yield* pretending("tensorflow")
        yield* Effect.promise(() => tf.setBackend("tensorflow"))
        assert.throws(
          () => tf.tidy(() => [...watched("node", () => [tf.exp(tf.tensor1d([1]))])]),
          FellBack,
          'does not lie in the memory of "tensorflow"'
        )
      })
    )
  )
})
