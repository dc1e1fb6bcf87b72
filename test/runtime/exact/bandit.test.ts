import { assert, describe, it } from "@effect/vitest"
import * as Rng from "../../../dsl/Rng.ts"
import * as Bandit from "../../../runtime/exact/bandit.ts"
import { lbfgs } from "../../../runtime/exact/minimize.ts"
import * as N from "../../../runtime/exact/numbers.ts"
import { hypervolume, nonDominated } from "../../../runtime/exact/pareto.ts"
import { logDirichlet, normalVector } from "../../../runtime/exact/random.ts"

const rng = Rng.make(3, "bandit")
const close = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number) => {
  assert.strictEqual(a.length, b.length)
  for (let i = 0; i < a.length; i++) assert.closeTo(a[i]!, b[i]!, tolerance, `entry ${i}`)
}

describe("numbers", () => {
  it("stays finite where exponentials do not", () => {
    assert.closeTo(N.logSumExp([1000, 1000]), 1000 + Math.LN2, 1e-12)
    assert.strictEqual(N.logSumExp([]), Number.NEGATIVE_INFINITY)
    close(N.softmax([-1e4, -1e4]), [0.5, 0.5], 0)
    assert.strictEqual(N.sigmoid(-800), 0)
    assert.closeTo(N.sigmoid(-40) / Math.exp(-40), 1, 1e-12)
    assert.strictEqual(N.softplus(800), 800)
  })
  it("KL, entropy, total variation and spread of known distributions", () => {
    const p = [0.5, 0.25, 0.25].map(Math.log)
    const q = [0.25, 0.5, 0.25].map(Math.log)
    assert.closeTo(N.kl(p, q), 0.25 * Math.LN2, 1e-15)
    assert.strictEqual(N.kl(q, [0.5, 0.5, 0].map(Math.log)), Number.POSITIVE_INFINITY)
    assert.closeTo(N.kl([0, Number.NEGATIVE_INFINITY], [Math.log(0.5), Math.log(0.5)]), Math.LN2, 1e-15)
    assert.closeTo(N.entropy(p), 1.5 * Math.LN2, 1e-15)
    assert.strictEqual(N.totalVariation([1, 0], [0.25, 0.75]), 0.75)
    assert.strictEqual(N.spread([3, -1, 2]), 4)
    assert.throws(() => N.dot([1], [1, 2]), RangeError)
  })
})

describe("klOptimum", () => {
  const reference = logDirichlet(8, 2, rng.fork("reference"))
  const reward = normalVector(8, rng.fork("reward"))
  it("attains beta log Z, which no other policy exceeds", () => {
    const beta = 0.5
    const { logPolicy, logZ } = Bandit.klOptimum(reference, reward, beta)
    const value = (l: ArrayLike<number>) => Bandit.expectedReward(l, reward) - beta * N.kl(l, reference)
    assert.closeTo(N.logSumExp(logPolicy), 0, 1e-14)
    assert.closeTo(value(logPolicy), beta * logZ, 1e-14)
    for (let i = 0; i < 50; i++) {
      const direction = normalVector(8, rng.fork(i))
      assert.isBelow(value(N.logSoftmax(logPolicy.map((l, y) => l + 0.3 * direction[y]!))), beta * logZ)
    }
  })
  it("gives back the reward from its own log-ratio up to a constant", () => {
    const { logPolicy } = Bandit.klOptimum(reference, reward, 0.3)
    assert.isBelow(N.spread(logPolicy.map((l, y) => 0.3 * (l - reference[y]!) - reward[y]!)), 1e-13)
    assert.throws(() => Bandit.klOptimum(reference, reward, 0), RangeError)
  })
  it("is where the population loss of DPO ends, for any pairs with full support", () => {
    const beta = 0.5
    const { logPolicy } = Bandit.klOptimum(reference, reward, beta)
    for (const from of [new Float64Array(8).fill(1 / 8), reference.map(Math.exp)]) {
      const fitted = lbfgs(
        (theta) => {
          const gradient = new Float64Array(8)
          let value = 0
          for (let y = 0; y < 8; y++)
            for (let z = 0; z < 8; z++) {
              const margin = beta * (theta[y]! - reference[y]! - theta[z]! + reference[z]!)
              const weight = 2 * from[y]! * from[z]! * N.sigmoid(reward[y]! - reward[z]!)
              value += weight * N.softplus(-margin)
              gradient[y]! -= weight * beta * N.sigmoid(-margin)
              gradient[z]! += weight * beta * N.sigmoid(-margin)
            }
          return { value, gradient }
        },
        Float64Array.from(reference),
        { steps: 500, tolerance: 1e-10 }
      )
      close(N.softmax(fitted.theta), logPolicy.map(Math.exp), 1e-6)
    }
  })
  it("traces a frontier that rises with KL", () => {
    const points = Bandit.frontier(reference, reward, [10, 1, 0.3, 0.1])
    points.slice(1).forEach((point, i) => {
      assert.isAbove(point.kl, points[i]!.kl)
      assert.isAbove(point.reward, points[i]!.reward)
    })
    // The slope of the frontier is beta.
    const [a, b] = Bandit.frontier(reference, reward, [0.3001, 0.2999])
    assert.closeTo((b!.reward - a!.reward) / (b!.kl - a!.kl), 0.3, 1e-6)
  })
})

describe("preferences", () => {
  it("of Bradley-Terry give the rewards back", () => {
    const reward = [0.4, -1.2, 0.8]
    close(Bandit.fitBradleyTerry(Bandit.bradleyTerry(reward)), reward, 1e-8)
  })
  it("fits the games of the literature: a cycle with a dominated answer, and a biased cycle", () => {
    const cycle = [
      [0.5, 0.9, 0.2, 0.8],
      [0.1, 0.5, 0.8, 0.8],
      [0.8, 0.2, 0.5, 0.8],
      [0.2, 0.2, 0.2, 0.5]
    ]
    close(Bandit.fitBradleyTerry(cycle), [0.458, 0.237, 0.347, -1.042], 6e-4)
    const scores = [
      [0, 1, -0.5],
      [-1, 0, 3],
      [0.5, -3, 0]
    ]
    close(Bandit.fitBradleyTerry(scores.map((row) => row.map(N.sigmoid))), [0.151, 0.307, -0.458], 6e-4)
  })
  it("without a finite fit are refused: some responses never win, or never lose, or are never compared", () => {
    const refused = (preferences: Bandit.Matrix, weights?: Bandit.Matrix) =>
      assert.throws(() => Bandit.fitBradleyTerry(preferences, weights), RangeError, /never win/)
    const won = [
      [0.5, 1],
      [0, 0.5]
    ]
    refused(won)
    refused(won.toReversed().map((row) => row.toReversed()))
    refused(Bandit.bradleyTerry([1, 2]), [
      [1, 0],
      [0, 1]
    ])
  })
  it("weights do not move a fit that is exact, and do move another", () => {
    const weights = [
      [0, 1, 5],
      [1, 0, 2],
      [5, 2, 0]
    ]
    close(Bandit.fitBradleyTerry(Bandit.bradleyTerry([1, -1, 0]), weights), [1, -1, 0], 1e-9)
    const cycle = [
      [0.5, 0.9, 0.2],
      [0.1, 0.5, 0.7],
      [0.8, 0.3, 0.5]
    ]
    const scores = Bandit.fitBradleyTerry(cycle, weights)
    // At the maximum every response wins as often as its scores say.
    cycle.forEach((row, y) => {
      const excess = row.map((p, z) => weights[y]![z]! * (p - N.sigmoid(scores[y]! - scores[z]!)))
      assert.closeTo(
        excess.reduce((sum, x) => sum + x, 0),
        0,
        1e-9
      )
    })
  })
  it("of consistent annotators may be intransitive", () => {
    const mixed = Bandit.annotators(
      [
        [3, 0, -3],
        [-3, 3, 0],
        [0, -3, 3]
      ].map(Bandit.bradleyTerry)
    )
    for (let y = 0; y < 3; y++) assert.isAbove(mixed[y]![(y + 1) % 3]!, 0.5)
    close(Bandit.annotators([[[0.5]], [[0.1]]], [3, 1])[0]!, [0.4], 1e-15)
    assert.throws(() => Bandit.annotators([]), RangeError)
  })
  it("the win rate of a policy against itself is one half", () => {
    const p = logDirichlet(5, 1, rng).map(Math.exp)
    assert.closeTo(Bandit.winRate(p, p, Bandit.bradleyTerry(normalVector(5, rng))), 0.5, 1e-14)
    assert.closeTo(
      Bandit.winRate(
        [1, 0],
        [0, 1],
        [
          [0.5, 0.9],
          [0.1, 0.5]
        ]
      ),
      0.9,
      1e-15
    )
  })
})

describe("expectedCalibrationError", () => {
  it("weights bins by their counts", () => {
    // Bin 9 holds 0.95 three times with two hits, bin 1 holds 0.1 once with a miss.
    assert.closeTo(
      Bandit.expectedCalibrationError([0.95, 0.95, 0.95, 0.1], [1, 1, 0, 0]),
      (3 * (0.95 - 2 / 3) + 0.1) / 4,
      1e-15
    )
    assert.strictEqual(Bandit.expectedCalibrationError([1, 1], [1, 1]), 0)
    // Errors of different bins do not cancel.
    assert.closeTo(Bandit.expectedCalibrationError([0.25, 0.75], [0.5, 0.5]), 0.25, 1e-15)
    assert.throws(() => Bandit.expectedCalibrationError([1.5], [1]), RangeError)
  })
})

describe("pareto", () => {
  it("keeps what nothing dominates", () => {
    assert.deepStrictEqual(
      nonDominated([
        [1, 3],
        [2, 2],
        [1, 2],
        [3, 1],
        [2, 2]
      ]),
      [0, 1, 3, 4]
    )
  })
  it("measures the dominated area, once", () => {
    const points: ReadonlyArray<readonly [number, number]> = [
      [1, 3],
      [2, 2],
      [1, 2],
      [3, 1],
      [3, -1],
      [2, 2]
    ]
    assert.strictEqual(hypervolume(points, [0, 0]), 6)
    assert.strictEqual(hypervolume(points, [1, 1]), 1)
    assert.strictEqual(hypervolume([], [0, 0]), 0)
  })
})
