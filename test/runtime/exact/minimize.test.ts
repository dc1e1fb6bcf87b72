import { assert, describe, it } from "@effect/vitest"
import * as Rng from "../../../dsl/Rng.ts"
import { adam, gradientDescent, lbfgs, type Objective } from "../../../runtime/exact/minimize.ts"
import { normalVector } from "../../../runtime/exact/random.ts"

/** `1/2 sum curvature_i (x_i - 1)^2`, minimum 0 at ones. */
const bowl =
  (curvature: ReadonlyArray<number>): Objective =>
  (theta) => ({
    value: curvature.reduce((sum, c, i) => sum + (c / 2) * (theta[i]! - 1) ** 2, 0),
    gradient: theta.map((x, i) => curvature[i]! * (x - 1))
  })

const rosenbrock: Objective = (theta) => {
  const gradient = new Float64Array(theta.length)
  let value = 0
  for (let i = 0; i + 1 < theta.length; i++) {
    const [a, b] = [theta[i]!, theta[i + 1]!]
    value += 100 * (b - a * a) ** 2 + (1 - a) ** 2
    gradient[i]! += -400 * a * (b - a * a) - 2 * (1 - a)
    gradient[i + 1]! += 200 * (b - a * a)
  }
  return { value, gradient }
}

describe("gradientDescent", () => {
  it("contracts every coordinate by 1 - learningRate * curvature", () => {
    const { gradientNorm, steps, theta } = gradientDescent(bowl([1, 3]), Float64Array.of(2, 2), {
      steps: 5,
      learningRate: 0.1
    })
    assert.closeTo(theta[0]!, 1 + 0.9 ** 5, 1e-15)
    assert.closeTo(theta[1]!, 1 + 0.7 ** 5, 1e-15)
    assert.closeTo(gradientNorm, Math.hypot(0.9 ** 5, 3 * 0.7 ** 5), 1e-15)
    assert.strictEqual(steps, 5)
  })
  it("ends at the tolerance, and leaves the start as it was", () => {
    const start = Float64Array.of(2, 2)
    const found = gradientDescent(bowl([1, 1]), start, { steps: 1e6, learningRate: 0.5, tolerance: 1e-6 })
    assert.isBelow(found.steps, 25)
    assert.isAtMost(found.gradientNorm, 1e-6)
    assert.deepStrictEqual(start, Float64Array.of(2, 2))
  })
})

describe("adam", () => {
  it("its first step is the learning rate along the gradient's signs", () => {
    const { theta } = adam(bowl([1, 1000]), Float64Array.of(2, 0), { steps: 1, learningRate: 0.1 })
    assert.closeTo(theta[0]!, 1.9, 1e-8)
    assert.closeTo(theta[1]!, 0.1, 1e-8)
  })
  it("two steps by hand", () => {
    const linear: Objective = (theta) => ({ value: theta[0]!, gradient: Float64Array.of(theta[0]! > 1.95 ? 1 : 3) })
    const { theta } = adam(linear, Float64Array.of(2), { steps: 2, learningRate: 0.1, epsilon: 0 })
    const m = (0.9 * 0.1 + 0.1 * 3) / (1 - 0.81)
    const v = (0.999 * 0.001 + 0.001 * 9) / (1 - 0.999 ** 2)
    assert.closeTo(theta[0]!, 1.9 - (0.1 * m) / Math.sqrt(v), 1e-12)
  })
})

describe("lbfgs", () => {
  it("reaches float64 accuracy on ill-conditioned bowls", () => {
    const curvature = Array.from({ length: 20 }, (_, i) => 10 ** (i / 4))
    const found = lbfgs(bowl(curvature), new Float64Array(20), { steps: 500, tolerance: 1e-10 })
    assert.isAtMost(found.gradientNorm, 1e-10)
    // 140 steps; descent along the gradient would take a million.
    assert.isBelow(found.steps, 200)
    for (const x of found.theta) assert.closeTo(x, 1, 1e-9)
  })
  it("follows the valley of Rosenbrock's function, never rising", () => {
    let last = Number.POSITIVE_INFINITY
    for (let steps = 0; steps <= 40; steps += 5) {
      const { value } = lbfgs(rosenbrock, Float64Array.of(-1.2, 1, -1.2, 1), { steps })
      assert.isAtMost(value, last)
      last = value
    }
    const found = lbfgs(rosenbrock, Float64Array.of(-1.2, 1, -1.2, 1), { steps: 200, tolerance: 1e-9 })
    assert.isBelow(found.steps, 100)
    for (const x of found.theta) assert.closeTo(x, 1, 1e-8)
  })
  it("ends where float64 does, and gives the same bits every time", () => {
    const start = normalVector(6, Rng.make(1, "start"))
    const run = () => lbfgs(rosenbrock, start, { steps: 10_000 })
    const found = run()
    assert.isBelow(found.steps, 10_000)
    assert.isBelow(found.gradientNorm, 1e-6)
    assert.deepStrictEqual(run(), found)
  })
  it("gets the gradient of a flat minimum far below the square root of the rounding error", () => {
    // The large constant's rounding hides every step below 1e-6.
    const logistic: Objective = (theta) => ({
      value: theta.reduce((sum, x, i) => sum + Math.log(1 + Math.exp(x)) - ((i + 1) / 8) * x, 1e4),
      gradient: theta.map((x, i) => 1 / (1 + Math.exp(-x)) - (i + 1) / 8)
    })
    const found = lbfgs(logistic, new Float64Array(7), { steps: 200, tolerance: 1e-13 })
    assert.isAtMost(found.gradientNorm, 1e-13)
    found.theta.forEach((x, i) => {
      assert.closeTo(x, Math.log((i + 1) / (7 - i)), 1e-12)
    })
  })
})

it("a minimization that leaves float64 says so, and a line search steps back from there", () => {
  const start = Float64Array.of(3, 3)
  assert.throws(
    () => gradientDescent(bowl([1, 1]), start, { steps: 1e4, learningRate: 3 }),
    RangeError,
    /steps the objective is/
  )
  const walled =
    (beyond: number): Objective =>
    ([x]) =>
      x! < 0.5
        ? { value: beyond, gradient: Float64Array.of(Number.NaN) }
        : { value: x! - Math.log(x! - 0.5), gradient: Float64Array.of(1 - 1 / (x! - 0.5)) }
  for (const beyond of [Number.NaN, Number.NEGATIVE_INFINITY, -5]) {
    const found = lbfgs(walled(beyond), Float64Array.of(9), { steps: 100, tolerance: 1e-10 })
    assert.closeTo(found.theta[0]!, 1.5, 1e-9)
  }
  assert.throws(() => lbfgs(walled(-5), Float64Array.of(0), { steps: 1 }), RangeError)
})
