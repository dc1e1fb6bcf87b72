import { assert, describe, it } from "@effect/vitest"
import * as Rng from "../../../dsl/Rng.ts"
import { expectedReward } from "../../../runtime/exact/bandit.ts"
import * as D from "../../../runtime/exact/divergences.ts"
import { lbfgs } from "../../../runtime/exact/minimize.ts"
import { kl, logSoftmax, softmax, softplus, spread } from "../../../runtime/exact/numbers.ts"
import { logDirichlet, normalVector } from "../../../runtime/exact/random.ts"

const all = [D.reverseKl, D.forwardKl, D.jsd, D.alpha(0.5), D.alpha(0.3)]
const rng = Rng.make(11, "divergences")

describe.each(all)("$name", (of) => {
  it("f, its derivative, the inverse and the score agree", () => {
    assert.closeTo(of.f(1), 0, 1e-15)
    for (const u of [0.05, 0.5, 1, 1.5, 7]) {
      const h = 1e-5 * u
      assert.closeTo((of.f(u + h) - of.f(u - h)) / (2 * h), of.derivative(u), 1e-6 * (1 + Math.abs(of.derivative(u))))
      assert.closeTo(of.derivativeInverse(of.derivative(u)), u, 1e-10 * u)
      const l = Math.log(u)
      assert.closeTo(
        of.score(l) - of.score(0),
        of.derivative(u) - of.derivative(1),
        1e-12 * (1 + Math.abs(of.score(l)))
      )
      assert.closeTo((of.score(l + 1e-5) - of.score(l - 1e-5)) / 2e-5, of.scoreSlope(l), 1e-7 * (1 + of.scoreSlope(l)))
      assert.isBelow(of.derivative(u), of.supremum)
      if (of.below === undefined) continue
      assert.closeTo(of.below.gap(l), of.supremum - of.derivative(u), 1e-12 * (1 + of.below.gap(l)))
      assert.closeTo(of.below.logRatio(of.below.gap(l)), l, 1e-12 * (1 + Math.abs(l)))
    }
  })

  it("is positive except between equal distributions", () => {
    const [p, q] = [logDirichlet(6, 1, rng.fork("p")), logDirichlet(6, 1, rng.fork("q"))]
    assert.isAbove(D.divergence(of, p, q), 1e-3)
    assert.closeTo(D.divergence(of, p, p), 0, 1e-14)
  })

  it("optimum: the conditions of Karush, Kuhn and Tucker hold, and a descent ends there", () => {
    for (let draw = 0; draw < 4; draw++)
      for (const beta of [0.3, 1]) {
        const reference = logDirichlet(8, 2, rng.fork(`reference ${draw}`))
        const reward = normalVector(8, rng.fork(`reward ${draw}`))
        const { lambda, logPolicy } = D.optimum(of, reference, reward, beta)
        const residual = logPolicy.map(
          (l, y) => reward[y]! - beta * of.derivative(Math.exp(l - reference[y]!)) - lambda
        )
        for (const r of residual) assert.closeTo(r, 0, 1e-10)
        const value = (l: Float64Array) => expectedReward(l, reward) - beta * D.divergence(of, l, reference)
        const fitted = lbfgs(
          (theta) => {
            const logs = logSoftmax(theta)
            const p = softmax(theta)
            const slopes = logs.map((l, y) => reward[y]! - beta * of.derivative(Math.exp(l - reference[y]!)))
            const mean = p.reduce((sum, q, y) => sum + q * slopes[y]!, 0)
            return { value: -value(logs), gradient: p.map((q, y) => -q * (slopes[y]! - mean)) }
          },
          Float64Array.from(reference),
          { steps: 2000, tolerance: 1e-10 }
        )
        softmax(fitted.theta).forEach((p, y) => {
          assert.closeTo(p, Math.exp(logPolicy[y]!), 1e-6)
        })
      }
  })

  it("optimum: survives tiny references and large rewards, and ignores a shift of the reward", () => {
    const reference = logSoftmax([-60, 0, -1])
    const reward = [40, 0, -300]
    const { lambda, logPolicy } = D.optimum(of, reference, reward, 0.5)
    assert.isTrue(logPolicy.every(Number.isFinite))
    logPolicy.forEach((l, y) => {
      if (l > -600) assert.closeTo(reward[y]! - 0.5 * (of.score(l - reference[y]!) + offset(of)), lambda, 1e-9)
    })
    const shifted = D.optimum(of, reference, [47, 7, -293], 0.5)
    assert.isBelow(spread(shifted.logPolicy.map((l, y) => Math.exp(l) - Math.exp(logPolicy[y]!))), 1e-12)
  })

  it("optimum: at equal rewards it is the reference, and beta must be positive", () => {
    const reference = logDirichlet(5, 1, rng)
    D.optimum(of, reference, [2, 2, 2, 2, 2], 0.7).logPolicy.forEach((l, y) => {
      assert.closeTo(l, reference[y]!, 1e-13)
    })
    assert.throws(() => D.optimum(of, reference, [0, 0, 0, 0, 0], 0), RangeError)
  })
})

it("the published losses at u_w = 1.5, u_l = 0.5, beta = 0.5", () => {
  const goldens = [
    [D.reverseKl, 1.098612, 0.4557464],
    [D.forwardKl, 1.333333, 0.4143701],
    [D.jsd, 0.587787, 0.5569585],
    [D.alpha(0.5), 1.195434, 0.4382975],
    [D.alpha(0.3), 1.152256, 0.4460121]
  ] as const
  for (const [of, gap, loss] of goldens) {
    const difference = of.score(Math.log(1.5)) - of.score(Math.log(0.5))
    assert.closeTo(difference, gap, 1e-6)
    assert.closeTo(softplus(-0.5 * difference), loss, 1e-7)
  }
})

it("names: reverse is KL(p||q), forward KL(q||p), jsd twice the textbook's, alpha between them", () => {
  const [p, q] = [logDirichlet(6, 2, rng.fork(1)), logDirichlet(6, 2, rng.fork(2))]
  assert.closeTo(D.divergence(D.byName("reverse_kl"), p, q), kl(p, q), 1e-14)
  assert.closeTo(D.divergence(D.byName("forward_kl"), p, q), kl(q, p), 1e-14)
  const middle = p.map((l, y) => Math.log((Math.exp(l) + Math.exp(q[y]!)) / 2))
  assert.closeTo(D.divergence(D.byName("jsd"), p, q), kl(p, middle) + kl(q, middle), 1e-14)
  assert.closeTo(D.divergence(D.byName("alpha", 1e-4), p, q), kl(p, q), 1e-3)
  assert.closeTo(D.divergence(D.byName("alpha", 1 - 1e-4), p, q), kl(q, p), 1e-3)
  for (const a of [0, 1, -0.5, Number.NaN]) assert.throws(() => D.alpha(a), RangeError)
})

it("at beta 0.3 no two divergences have the same optimum", () => {
  const reference = logDirichlet(8, 2, rng.fork("reference 0"))
  const reward = normalVector(8, rng.fork("reward 0"))
  const optima = all.slice(0, 4).map((of) => D.optimum(of, reference, reward, 0.3).logPolicy.map(Math.exp))
  optima.forEach((p, i) => {
    for (const q of optima.slice(0, i)) assert.isAbove(Math.max(...p.map((x, y) => Math.abs(x - q[y]!))), 5e-3)
  })
})

it("at matched reward each of the three has the smallest divergence of its own kind", () => {
  const reference = logDirichlet(8, 2, rng.fork("reference 1"))
  const reward = normalVector(8, rng.fork("reward 1"))
  const target = expectedReward(D.optimum(D.reverseKl, reference, reward, 0.7).logPolicy, reward)
  const kinds = [D.reverseKl, D.forwardKl, D.jsd]
  const matched = kinds.map((of) => {
    let [low, high] = [-8, 8]
    for (let i = 0; i < 100; i++) {
      const middle = (low + high) / 2
      if (expectedReward(D.optimum(of, reference, reward, Math.exp(middle)).logPolicy, reward) > target) low = middle
      else high = middle
    }
    return D.optimum(of, reference, reward, Math.exp(high)).logPolicy
  })
  kinds.forEach((of, i) => {
    const values = matched.map((policy) => D.divergence(of, policy, reference))
    values.forEach((value, j) => {
      if (j !== i) assert.isAbove(value, values[i]! * (1 + 1e-4))
    })
  })
})

const offset = (of: D.Divergence) => of.derivative(1) - of.score(0)
