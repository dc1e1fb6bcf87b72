import { assert, describe, it } from "@effect/vitest"
import * as Rng from "../../../dsl/Rng.ts"
import { argmax, draw, logSumExp, type Sampling, support } from "../../../runtime/models/sampling.ts"

const logits = Float32Array.from([1, -1, 2, 0, 2, -3, 0.5])
const kept = (sampling: Sampling) =>
  [...support(logits, sampling)].flatMap((weight, token) => (weight > 0 ? [token] : []))

describe("sampling", () => {
  it("argmax takes the lowest of equal tokens", () => assert.strictEqual(argmax(logits), 2))

  it("logSumExp equals the definition and survives large logits", () => {
    const exact = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0))
    assert.closeTo(logSumExp(logits), exact, 1e-12)
    assert.closeTo(logSumExp(Float32Array.from([4000, 4000])), 4000 + Math.LN2, 1e-9)
  })

  it("topK keeps exactly the k likeliest, ties to the lower id", () => {
    assert.deepStrictEqual(kept({ temperature: 1, topK: 1 }), [2])
    assert.deepStrictEqual(kept({ temperature: 1, topK: 3 }), [0, 2, 4])
    assert.deepStrictEqual(kept({ temperature: 1, topK: 99 }), [0, 1, 2, 3, 4, 5, 6])
  })

  it("topP keeps the smallest likeliest set that reaches it, after temperature and topK", () => {
    const p = support(logits, { temperature: 1 })
    const total = p.reduce((sum, weight) => sum + weight, 0)
    const two = (p[2]! + p[4]!) / total
    assert.deepStrictEqual(kept({ temperature: 1, topP: two - 1e-9 }), [2, 4])
    assert.deepStrictEqual(kept({ temperature: 1, topP: two + 1e-9 }), [0, 2, 4])
    assert.deepStrictEqual(kept({ temperature: 1, topP: 1e-9 }), [2])
    assert.deepStrictEqual(kept({ temperature: 0.1, topP: two }), [2, 4])
    assert.deepStrictEqual(kept({ temperature: 1, topK: 3, topP: 0.75 }), [2, 4])
    assert.deepStrictEqual(kept({ temperature: 1, topP: 0.75 }), [0, 2, 4])
  })

  it("temperature 0 is greedy; u at both ends stays inside the support", () => {
    assert.strictEqual(draw(logits, { temperature: 0 }, 0.99), 2)
    assert.strictEqual(draw(logits, { temperature: 1, topK: 3 }, 0), 0)
    assert.strictEqual(draw(logits, { temperature: 1, topK: 3 }, 1 - 2 ** -53), 4)
  })

  const frequencies = {
    plain: { temperature: 1 },
    hot: { temperature: 2.5 },
    cut: { temperature: 0.7, topK: 5, topP: 0.95 }
  }
  for (const [name, sampling] of Object.entries(frequencies))
    it(`frequencies follow the distribution: ${name} (chi-square, 20000 draws)`, () => {
      const rng = Rng.make(11, name)
      const draws = 20_000
      const counts = new Float64Array(logits.length)
      for (let i = 0; i < draws; i++) counts[draw(logits, sampling, rng.uniform(i))]! += 1
      const weights = support(logits, sampling)
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      let statistic = 0
      let cells = 0
      for (const [token, weight] of weights.entries()) {
        if (weight === 0) {
          assert.strictEqual(counts[token], 0)
          continue
        }
        const expected = (draws * weight) / total
        statistic += (counts[token]! - expected) ** 2 / expected
        cells++
      }
      // The 0.999 quantiles of chi-square with 3..6 degrees of freedom.
      const limit = { 3: 16.27, 4: 18.47, 5: 20.52, 6: 22.46 }[cells - 1]
      assert.isDefined(limit)
      assert.isBelow(statistic, limit!)
    })
})
