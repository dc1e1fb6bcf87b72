import { assert, describe, it } from "@effect/vitest"
import * as Rng from "../../../dsl/Rng.ts"
import { bradleyTerry, winRate } from "../../../runtime/exact/bandit.ts"
import * as G from "../../../runtime/exact/games.ts"
import { kl, totalVariation } from "../../../runtime/exact/numbers.ts"
import { normalVector, skewScores, uniformPreferences } from "../../../runtime/exact/random.ts"

const rng = Rng.make(5, "games")
const close = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number) => {
  assert.strictEqual(a.length, b.length)
  for (let i = 0; i < a.length; i++) assert.closeTo(a[i]!, b[i]!, tolerance, `entry ${i}`)
}
const three = [
  [0.5, 0.9, 0.2],
  [0.1, 0.5, 0.7],
  [0.8, 0.3, 0.5]
]
const four = [
  [0.5, 0.9, 0.2, 0.8],
  [0.1, 0.5, 0.8, 0.8],
  [0.8, 0.2, 0.5, 0.8],
  [0.2, 0.2, 0.2, 0.5]
]
const biased = [
  [0, 1, -0.5],
  [-1, 0, 3],
  [0.5, -3, 0]
]

describe("preferenceMatrix", () => {
  const broken = (y: number, z: number, value: number) =>
    three.map((row, i) => row.map((p, j) => (i === y && j === z ? value : p)))
  it("passes valid matrices and names the cell of the others", () => {
    assert.strictEqual(G.preferenceMatrix(three), three)
    assert.throws(() => G.preferenceMatrix(broken(1, 2, 0.6)), RangeError, /P\[1\]\[2\] \+ P\[2\]\[1\] is 0\.8999/)
    assert.throws(() => G.preferenceMatrix(broken(1, 1, 0.6)), RangeError, /P\[1\]\[1\] is 0\.6, not 1\/2/)
    assert.throws(() => G.preferenceMatrix(broken(0, 2, 1.2)), RangeError, /P\[0\]\[2\] is 1\.2, not a probability/)
    assert.throws(() => G.preferenceMatrix(broken(0, 2, Number.NaN)), RangeError, /P\[0\]\[2\] is NaN/)
    assert.throws(() => G.preferenceMatrix([[0.5], [0.5]]), RangeError, /row 0 has 1 entries/)
    assert.throws(() => G.nash(broken(1, 2, 0.6)), RangeError)
  })
})

describe("nash", () => {
  it("of the cycles of the literature", () => {
    close(G.nash(three), [2 / 9, 3 / 9, 4 / 9], 1e-12)
    close(G.nashOfScores(biased), [2 / 3, 1 / 9, 2 / 9], 1e-12)
  })
  it("is not exploitable, on 200 random matrices of every size up to 12", () => {
    for (let i = 0; i < 200; i++) {
      const size = 1 + (i % 12)
      for (const matrix of [uniformPreferences(size, rng.fork(i)), hard(size, rng.fork(i))]) {
        const policy = G.nash(matrix)
        assert.closeTo(
          policy.reduce((sum, p) => sum + p, 0),
          1,
          1e-12
        )
        assert.isTrue(policy.every((p) => p >= 0))
        assert.isBelow(Math.abs(G.exploitability(matrix, policy)), 1e-9)
      }
      const scores = skewScores(size, rng.fork(i))
      assert.isBelow(G.scoreExploitability(scores, G.nashOfScores(scores)), 1e-9)
    }
  })
  it("of a Bradley-Terry matrix is its best answer; without preferences nothing is exploitable", () => {
    close(G.nash(bradleyTerry([0, 2, 1, -1])), [0, 1, 0, 0], 1e-12)
    assert.closeTo(
      G.exploitability(
        [
          [0.5, 0.5],
          [0.5, 0.5]
        ],
        G.nash([
          [0.5, 0.5],
          [0.5, 0.5]
        ])
      ),
      0,
      1e-15
    )
    assert.throws(
      () =>
        G.nashOfScores([
          [0, 1],
          [1, 0]
        ]),
      RangeError,
      /not skew-symmetric/
    )
  })
})

describe("multiplicative weights", () => {
  it("the published step on the cycle of three", () => {
    const rates = G.winRates(three, [0.5, 0.3, 0.2])
    close(rates, [0.56, 0.34, 0.59], 1e-15)
    const step = G.multiplicativeWeights([0.5, 0.3, 0.2].map(Math.log), rates, 1)
    close(step.map(Math.exp), [0.528069, 0.254271, 0.21766], 5e-7)
  })
  it("the published soft policy iteration on the game of four", () => {
    const uniform = new Float64Array(4).fill(0.25)
    close(G.winRates(four, uniform), [0.6, 0.55, 0.575, 0.275], 1e-15)
    const log = uniform.map(Math.log)
    const next = G.softPolicyIteration(four, log, 1)
    close(next.map(Math.exp), [0.274043, 0.260677, 0.267277, 0.198003], 5e-7)
    assert.closeTo(winRate(next.map(Math.exp), uniform, four), 0.5159331, 5e-8)
    assert.closeTo(kl(next, log), 0.0077561, 5e-8)
  })
  it("improves every step by eta KL: P(next > pi) >= 1/2 + eta KL(next || pi)", () => {
    for (let i = 0; i < 20; i++)
      for (const eta of [1, 2, 5]) {
        const matrix = uniformPreferences(6, rng.fork(i))
        let policy = new Float64Array(6).fill(-Math.log(6))
        for (let t = 0; t < 20; t++) {
          const next = G.softPolicyIteration(matrix, policy, eta)
          const rate = winRate(next.map(Math.exp), policy.map(Math.exp), matrix)
          assert.isAtLeast(rate - 0.5 - eta * kl(next, policy), -1e-12)
          policy = Float64Array.from(next)
        }
      }
  })
  it("the average policy obeys the bound of Hedge, the last one cycles", () => {
    const { average, last } = iterate(three, [0.6, 0.3, 0.1], 0.1, 2000)
    const gap = G.exploitability(three, average)
    assert.isBelow(gap, Math.log(10) / (0.1 * 2000) + 0.1 / 8)
    assert.closeTo(gap, 0.0075, 5e-5)
    assert.isAbove(G.exploitability(three, last), 0.05)
  })
  it("the game of four: average exploitability after 1, 50 and 400 steps at eta 1", () => {
    const gap = (steps: number) => G.exploitability(four, iterate(four, [0.7, 0.1, 0.1, 0.1], 1, steps).average)
    close([gap(1), gap(50), gap(400)], [0.21, 0.0128, 0.0103], 6e-5)
  })
  it("the biased cycle of scores: the average reaches the Nash policy", () => {
    const { average } = iterate(biased, [1 / 3, 1 / 3, 1 / 3], 2 / Math.sqrt(4000), 4000)
    assert.closeTo(totalVariation(average, G.nashOfScores(biased)), 0.0013, 1e-4)
    assert.closeTo(G.scoreExploitability(biased, [0, 1, 0]), 1, 1e-15)
  })
  it("stays where it is at a Nash policy with full support", () => {
    const policy = G.nash(three).map(Math.log)
    close(G.softPolicyIteration(three, policy, 0.5), policy, 1e-12)
    assert.throws(() => G.softPolicyIteration(three, policy, 0), RangeError)
  })
})

/** The mean of the first `steps` iterates, and the last of them. */
const iterate = (
  payoffs: ReadonlyArray<ReadonlyArray<number>>,
  start: ReadonlyArray<number>,
  rate: number,
  steps: number
) => {
  let log = Float64Array.from(start, Math.log)
  let last = log.map(Math.exp)
  const average = new Float64Array(start.length)
  for (let t = 0; t < steps; t++) {
    last = log.map(Math.exp)
    last.forEach((p, y) => {
      average[y]! += p / steps
    })
    log = Float64Array.from(G.multiplicativeWeights(log, G.winRates(payoffs, last), rate))
  }
  return { average, last }
}

/** Deterministic preferences with some ties: many equal ratios in the simplex method. */
const hard = (size: number, from: Rng.Rng) => {
  const draws = normalVector(size * size, from)
  const beats = (y: number, z: number) => (draws[y * size + z]! > 0.5 ? 1 : draws[y * size + z]! < -0.5 ? 0 : 0.5)
  return Array.from({ length: size }, (_, y) =>
    Array.from({ length: size }, (_, z) => (y === z ? 0.5 : y < z ? beats(y, z) : 1 - beats(z, y)))
  )
}
