import { assert, describe, it, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Exit, Fiber } from "effect"
import { Device, withoutLeak } from "../../../runtime/device/Device.ts"
import * as AdamW from "../../../runtime/tensor/AdamW.ts"
import * as Schedule from "../../../runtime/tensor/schedule.ts"
import * as Train from "../../../runtime/tensor/train.ts"
import { normals, relativeError, values } from "./closeness.ts"

const shapes = { "layer.weight": [3, 4], "norm.weight": [4], "model.embed_tokens.weight": [5, 2] } as const

/** Parameters on the device for the life of the scope. */
const parameters = Effect.acquireRelease(
  Effect.sync(
    () =>
      new Map(
        Object.entries(shapes).map(([name, shape]) => {
          const initial = tf.tensor(normals(name, tf.util.sizeFromShape([...shape])), [...shape])
          const variable = tf.variable(initial)
          initial.dispose()
          return [name, variable] as const
        })
      )
  ),
  (made) => Effect.sync(() => tf.dispose(Object.fromEntries(made)))
)

/** Gradients of very different lengths from step to step: Adam alone would not see a constant factor. */
const gradientsAt = (step: number) =>
  new Map(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      normals(`${name}/${step}`, tf.util.sizeFromShape([...shape]), 0.2 * 4 ** ((step * 2) % 3))
    ])
  )

/** Algorithm 2 of arXiv 1711.05101 in float64, from the equations. */
const scalarAdamW = (steps: number, o: { rate: Schedule.Schedule; decay: number; clip: number; weight: number }) => {
  const w = new Map(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      Float64Array.from(normals(name, tf.util.sizeFromShape([...shape])))
    ])
  )
  const m = new Map([...w].map(([name, { length }]) => [name, new Float64Array(length)]))
  const v = new Map([...w].map(([name, { length }]) => [name, new Float64Array(length)]))
  for (let step = 0; step < steps; step++) {
    const gradients = gradientsAt(step)
    const norm = Math.hypot(...[...gradients.values()].flatMap((g) => [...g].map((x) => x / o.weight)))
    const clip = norm > o.clip ? o.clip / norm : 1
    for (const [name, g] of gradients)
      g.forEach((value, i) => {
        const gradient = (value / o.weight) * clip
        const [mi, vi, wi] = [m.get(name)!, v.get(name)!, w.get(name)!]
        mi[i] = 0.9 * mi[i]! + 0.1 * gradient
        vi[i] = 0.99 * vi[i]! + 0.01 * gradient ** 2
        const decay = name === "layer.weight" ? o.decay * wi[i]! : 0
        const mHat = mi[i]! / (1 - 0.9 ** (step + 1))
        const vHat = vi[i]! / (1 - 0.99 ** (step + 1))
        wi[i] = wi[i]! - o.rate(step) * (mHat / (Math.sqrt(vHat) + 1e-8) + decay)
      })
  }
  return w
}

/** Updates with given gradients, as tensors for as long as it takes. */
const update = (optimizer: AdamW.AdamW, gradients: ReadonlyMap<string, Float32Array>, weight: number) =>
  Effect.acquireUseRelease(
    Effect.sync(
      () =>
        new Map([...optimizer.parameters].map(([name, { shape }]) => [name, tf.tensor(gradients.get(name)!, shape)]))
    ),
    (tensors) => optimizer.update(tensors, weight),
    (tensors) => Effect.sync(() => tf.dispose([...tensors.values()]))
  )

const normOf = (gradients: ReadonlyMap<string, Float32Array>) =>
  Math.hypot(...[...gradients.values()].flatMap((values) => [...values]))

const read = (of: ReadonlyMap<string, tf.Variable>) =>
  new Map([...of].map(([name, variable]) => [name, values(variable)]))

for (const kind of ["wasm", "cpu"] as const)
  layer(Device.layer(kind))(`AdamW on ${kind}`, (it) => {
    for (const [name, decay, clip] of [
      ["plain", 0, Infinity],
      ["with decay", 0.3, Infinity],
      ["clipped", 0.1, 0.7]
    ] as const)
      it.effect(`equals the float64 algorithm over 7 steps: ${name}`, () =>
        withoutLeak(
          Effect.scoped(
            Effect.gen(function* () {
              const rate = Schedule.warmupCosine({ warmup: 3, total: 6, peak: 0.05, floor: 0.01 })
              const made = yield* parameters
              const optimizer = yield* AdamW.make(made, {
                learningRate: rate,
                beta2: 0.99,
                weightDecay: decay,
                maxGradientNorm: clip
              })
              for (let step = 0; step < 7; step++) {
                const done = yield* update(optimizer, gradientsAt(step), 4)
                assert.strictEqual(done.learningRate, rate(step))
                const expected = normOf(gradientsAt(step)) / 4
                assert.closeTo(done.gradientNorm, expected, 1e-6 * expected)
              }
              const expected = scalarAdamW(7, { rate, decay, clip, weight: 4 })
              for (const [name, got] of read(made)) assert.isBelow(relativeError(got, expected.get(name)!), 1e-6, name)
            })
          )
        )
      )

    it.effect("a gradient that is not finite changes nothing", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const made = yield* parameters
          const optimizer = yield* AdamW.make(made, { learningRate: Schedule.constant(1) })
          const before = [read(made), yield* optimizer.state]
          const bad = gradientsAt(0)
          bad.get("norm.weight")![2] = Number.NaN
          assert.isFalse((yield* update(optimizer, bad, 1)).applied)
          assert.deepStrictEqual([read(made), yield* optimizer.state], before)
        })
      )
    )

    it.effect("a state of another model is refused and nothing changes", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const optimizer = yield* AdamW.make(yield* parameters, { learningRate: Schedule.constant(1) })
          yield* update(optimizer, gradientsAt(0), 1)
          const state = yield* optimizer.state
          const moments = new Map(state.moments)
          moments.delete("norm.weight")
          const missing = yield* Effect.flip(optimizer.restore({ step: 9, moments }))
          assert.match(missing.message, /norm\.weight has no saved moments/)
          moments.set("norm.weight", { first: new Float32Array(3), second: new Float32Array(3) })
          const short = yield* Effect.flip(optimizer.restore({ step: 9, moments }))
          assert.match(short.message, /norm\.weight has 4 values, its moments 3/)
          assert.deepStrictEqual(yield* optimizer.state, state)
        })
      )
    )

    it.effect("six steps equal three, a restored state and three more, bit for bit", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const options = { learningRate: Schedule.linear({ from: 0.1, to: 0, total: 8 }), weightDecay: 0.1 }
          const straight = yield* parameters
          const one = yield* AdamW.make(straight, options)
          for (let step = 0; step < 6; step++) yield* update(one, gradientsAt(step), 2)

          const broken = yield* parameters
          const two = yield* AdamW.make(broken, options)
          for (let step = 0; step < 3; step++) yield* update(two, gradientsAt(step), 2)
          const saved = yield* two.state
          yield* update(two, gradientsAt(9), 1) // must not reach into what was saved
          const resumed = yield* parameters
          const three = yield* AdamW.make(resumed, options)
          for (let step = 0; step < 3; step++) yield* update(three, gradientsAt(step), 2)
          const four = yield* AdamW.make(resumed, options)
          yield* four.restore(saved)
          for (let step = 3; step < 6; step++) yield* update(four, gradientsAt(step), 2)
          assert.deepStrictEqual(read(resumed), read(straight))
          assert.deepStrictEqual(yield* four.state, yield* one.state)
        })
      )
    )

    /** Least squares: loss per item `(x . row of layer.weight)^2`, over items of different weights. */
    const items = Array.from({ length: 12 }, (_, i) => ({ x: normals(`item ${i}`, 4), row: i % 3 }))
    type Item = (typeof items)[number]
    const lossOf =
      (made: ReadonlyMap<string, tf.Variable>) =>
      (batch: ReadonlyArray<Item>): Train.Contribution => {
        const errors = batch.map(({ row, x }) =>
          tf.square(tf.sum(tf.mul(tf.slice(made.get("layer.weight")!, [row, 0], [1, 4]), tf.tensor2d(x, [1, 4]))))
        )
        const loss = tf.addN(errors) as tf.Scalar
        return { loss, weight: batch.length, metrics: { twice: tf.mul(loss, 2) } }
      }
    /** Four steps, so that the sizes of gradients matter: Adam's first step depends on their signs only. */
    const trained = (cut: (items: ReadonlyArray<Item>) => ReadonlyArray<ReadonlyArray<Item>>) =>
      Effect.scoped(
        Effect.gen(function* () {
          const made = yield* parameters
          const optimizer = yield* AdamW.make(made, { learningRate: Schedule.constant(0.01), maxGradientNorm: 1 })
          const reports: Array<Train.StepReport> = []
          for (let step = 0; step < 4; step++)
            reports.push(yield* Train.step(optimizer, cut(items.slice(step, step + 9)), lossOf(made)))
          return { reports, weights: read(made) }
        })
      )

    it.effect("cutting a batch into uneven micro-batches changes nothing", () =>
      withoutLeak(
        Effect.gen(function* () {
          const whole = yield* trained((items) => [items])
          const cut = yield* trained((items) => [items.slice(0, 1), items.slice(1, 6), items.slice(6)])
          for (const [step, { gradientNorm, loss, metrics }] of whole.reports.entries()) {
            assert.closeTo(cut.reports[step]!.loss, loss, 1e-5)
            assert.closeTo(cut.reports[step]!.gradientNorm, gradientNorm, 1e-5)
            assert.closeTo(metrics["twice"]!, 2 * loss, 1e-5)
            assert.closeTo(cut.reports[step]!.metrics["twice"]!, metrics["twice"]!, 1e-5)
          }
          for (const [name, got] of cut.weights)
            assert.isBelow(relativeError(got, whole.weights.get(name)!), 1e-6, name)
          const other = yield* trained((items) => [items.slice(0, 8)])
          assert.isAbove(relativeError(other.weights.get("layer.weight")!, whole.weights.get("layer.weight")!), 1e-4)
        })
      )
    )

    it.effect("a step interrupted between micro-batches changes no parameter and leaves no tensor", () =>
      withoutLeak(
        Effect.scoped(
          Effect.gen(function* () {
            const made = yield* parameters
            const before = read(made)
            const optimizer = yield* AdamW.make(made, { learningRate: Schedule.constant(0.01) })
            let seen = 0
            const counting = (batch: ReadonlyArray<Item>) => {
              seen++
              return lossOf(made)(batch)
            }
            const endless = Array.from({ length: 1000 }, () => items)
            const fiber = yield* Effect.forkChild(Train.step(optimizer, endless, counting))
            while (seen < 2) yield* Effect.yieldNow
            yield* Fiber.interrupt(fiber)
            assert.isBelow(seen, 20)
            assert.deepStrictEqual(read(made), before)
            assert.strictEqual(optimizer.step(), 0)
          })
        )
      )
    )

    it.effect("a loss that is not finite is a typed failure, and the parameters stay", () =>
      withoutLeak(
        Effect.scoped(
          Effect.gen(function* () {
            const made = yield* parameters
            const before = read(made)
            const optimizer = yield* AdamW.make(made, { learningRate: Schedule.constant(0.01) })
            const error = yield* Effect.flip(
              Train.step(optimizer, [items], (batch) => {
                const { loss, weight } = lossOf(made)(batch)
                return { loss: tf.log(tf.neg(loss)) as tf.Scalar, weight }
              })
            )
            assert.instanceOf(error, Train.TrainingDiverged)
            assert.match(error.message, /diverged at step 0: loss NaN/)
            assert.deepStrictEqual(read(made), before)
            assert.strictEqual(optimizer.step(), 0)
          })
        )
      )
    )

    it.effect("a metric that is not finite is a typed failure that names it, and the parameters stay", () =>
      withoutLeak(
        Effect.scoped(
          Effect.gen(function* () {
            const made = yield* parameters
            const before = read(made)
            const optimizer = yield* AdamW.make(made, { learningRate: Schedule.constant(0.01) })
            const error = yield* Effect.flip(
              Train.step(optimizer, [items], (batch) => {
                const { loss, weight } = lossOf(made)(batch)
                return { loss, weight, metrics: { fine: tf.mul(loss, 2), lost: tf.log(tf.neg(loss)) as tf.Scalar } }
              })
            )
            assert.match(error.message, /diverged at step 0: loss [0-9.]+, gradient norm NaN, lost NaN/)
            assert.deepStrictEqual(read(made), before)
          })
        )
      )
    )

    it.effect("a loss that does not depend on the parameters dies and leaves no tensor, its metrics included", () =>
      withoutLeak(
        Effect.scoped(
          Effect.gen(function* () {
            const optimizer = yield* AdamW.make(yield* parameters, { learningRate: Schedule.constant(0.01) })
            const exit = yield* Effect.exit(
              Train.step(optimizer, [0], () => ({ loss: tf.scalar(1), weight: 1, metrics: { other: tf.scalar(2) } }))
            )
            assert.isTrue(Exit.hasDies(exit))
          })
        )
      )
    )

    it.effect("gradients of zero move nothing, whatever the clipping", () =>
      Effect.gen(function* () {
        for (const maxGradientNorm of [Infinity, 1, 0])
          yield* Effect.scoped(
            Effect.gen(function* () {
              const made = yield* parameters
              const before = read(made)
              const optimizer = yield* AdamW.make(made, { learningRate: Schedule.constant(1), maxGradientNorm })
              const zeros = new Map([...before].map(([name, { length }]) => [name, new Float32Array(length)]))
              const done = yield* update(optimizer, zeros, 3)
              assert.deepStrictEqual([done.applied, done.gradientNorm], [true, 0])
              assert.deepStrictEqual(read(made), before)
            })
          )
      })
    )
  })

describe("schedules", () => {
  it("warmupCosine rises to the peak, falls through the middle and keeps its floor", () => {
    const rate = Schedule.warmupCosine({ warmup: 4, total: 14, peak: 1, floor: 0.2 })
    assert.deepStrictEqual([0, 1, 2, 3, 4].map(rate), [0.25, 0.5, 0.75, 1, 1])
    assert.closeTo(rate(9), 0.6, 1e-12)
    assert.closeTo(rate(6.5), 0.2 + 0.8 * (0.5 + Math.SQRT1_2 / 2), 1e-12)
    assert.deepStrictEqual([rate(14), rate(1000)], [0.2, 0.2])
    const cold = Schedule.warmupCosine({ warmup: 0, total: 10, peak: 1, floor: 0 })
    assert.strictEqual(cold(0), 1)
  })

  it("linear and constant", () => {
    const rate = Schedule.linear({ from: 1, to: 0.5, total: 5 })
    assert.deepStrictEqual([0, 1, 5, 6].map(rate), [1, 0.9, 0.5, 0.5])
    assert.deepStrictEqual([0, 99].map(Schedule.constant(3)), [3, 3])
  })

  it("matrices decay, vectors and embeddings do not", () =>
    assert.deepStrictEqual(
      Object.entries(shapes).map(([name, shape]) => AdamW.decaysMatrices(name, shape)),
      [true, false, false]
    ))
})
