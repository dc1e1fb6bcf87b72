import { assert, describe, it } from "@effect/vitest"
import * as Rng from "../../../dsl/Rng.ts"
import { preferenceMatrix } from "../../../runtime/exact/games.ts"
import { logSumExp } from "../../../runtime/exact/numbers.ts"
import * as R from "../../../runtime/exact/random.ts"

const rng = Rng.make(2, "random")
const DRAWS = 40_000

describe("logGamma", () => {
  for (const shape of [0.1, 0.5, 1, 2, 7.5])
    it(`shape ${shape}: mean and variance are the shape, the logarithm's mean is the digamma function`, () => {
      const logs = Array.from({ length: DRAWS }, (_, i) => R.logGamma(rng, i, shape))
      const values = logs.map(Math.exp)
      const mean = values.reduce((sum, x) => sum + x, 0) / DRAWS
      const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / DRAWS
      // Five standard errors; the fourth central moment is 3 shape^2 + 6 shape.
      assert.closeTo(mean, shape, 5 * Math.sqrt(shape / DRAWS))
      assert.closeTo(variance, shape, 5 * Math.sqrt((2 * shape ** 2 + 6 * shape) / DRAWS))
      const logMean = logs.reduce((sum, x) => sum + x, 0) / DRAWS
      assert.closeTo(logMean, digamma(shape), 5 * Math.sqrt(trigamma(shape) / DRAWS))
    })
  it("shape 1 is the exponential distribution: one draw in e^2 exceeds 2", () => {
    const above = Array.from({ length: DRAWS }, (_, i) => R.logGamma(rng, i, 1)).filter((x) => x > Math.LN2).length
    assert.closeTo(above / DRAWS, Math.exp(-2), 5 * Math.sqrt(Math.exp(-2) / DRAWS))
    assert.throws(() => R.logGamma(rng, 0, 0), RangeError)
  })
})

describe("logDirichlet", () => {
  it("is normalized, finite for tiny concentrations, and has the known variance", () => {
    let square = 0
    for (let i = 0; i < 5000; i++) {
      const logs = R.logDirichlet(4, 2, rng.fork(i))
      assert.closeTo(logSumExp(logs), 0, 1e-14)
      square += (Math.exp(logs[1]!) - 0.25) ** 2 / 5000
    }
    // Var p_i = (1/n)(1 - 1/n) / (n alpha + 1)
    assert.closeTo(square, 3 / 16 / 9, 0.0015)
    assert.isTrue(R.logDirichlet(5, 1e-3, rng).every(Number.isFinite))
  })
  it("contexts differ, and the same generator gives the same policy", () => {
    const logits = R.dirichletLogits(3, 4, 2, rng)
    assert.notStrictEqual(logits[0], logits[4])
    assert.deepStrictEqual(R.dirichletLogits(3, 4, 2, rng), logits)
  })
})

it("matrices have the structure they are named for", () => {
  preferenceMatrix(R.uniformPreferences(6, rng))
  const scores = R.skewScores(5, rng)
  scores.forEach((row, y) => {
    row.forEach((s, z) => {
      assert.strictEqual(s + scores[z]![y]!, 0)
    })
  })
  preferenceMatrix(R.preferencesOfScores(scores))
  const rewards = R.normalMatrix(50, 50, rng, 2).flat()
  assert.closeTo(rewards.reduce((sum, r) => sum + r * r, 0) / 2500, 4, 5 * Math.sqrt(32 / 2500))
  assert.deepStrictEqual(R.normalVector(3, rng, 2), Float64Array.from(rewards.slice(0, 3)))
})

/** Derivatives of the logarithm of the gamma function, by the recurrence and the asymptotic series. */
const digamma = (x: number): number =>
  x < 10 ? digamma(x + 1) - 1 / x : Math.log(x) - 1 / (2 * x) - 1 / (12 * x ** 2) + 1 / (120 * x ** 4)
const trigamma = (x: number): number =>
  x < 10 ? trigamma(x + 1) + 1 / x ** 2 : 1 / x + 1 / (2 * x ** 2) + 1 / (6 * x ** 3) - 1 / (30 * x ** 5)
