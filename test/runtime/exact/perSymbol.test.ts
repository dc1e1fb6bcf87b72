import { assert, it } from "@effect/vitest"
import * as Rng from "../../../dsl/Rng.ts"
import { markov } from "../../../runtime/exact/families.ts"
import { hazard } from "../../../runtime/exact/hazard.ts"
import { enumerateRows } from "../../../runtime/exact/Policy.ts"
import { expectedMeanReward } from "../../../runtime/exact/perSymbol.ts"
import { normalVector } from "../../../runtime/exact/random.ts"

const rewards = [1, -0.5, 0.25]
const families = {
  "a chain with an end": markov(3, 4),
  "an endless chain": markov(3, 3, true),
  "types with hazards": hazard(3, 4)
}
for (const [name, family] of Object.entries(families))
  it(`the expected mean reward is that of all answers: ${name}`, () => {
    const policy = family.at(normalVector(family.parameters, Rng.make(3, name)))
    const expected = enumerateRows(policy, 0).reduce((sum, { logProb, row: { tokens } }) => {
      const reward = tokens.reduce((total, symbol) => total + rewards[symbol]!, 0)
      return sum + (tokens.length === 0 ? 0 : (Math.exp(logProb) * reward) / tokens.length)
    }, 0)
    assert.closeTo(expectedMeanReward(policy, 0, rewards), expected, 1e-12)
  })
