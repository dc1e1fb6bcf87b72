import { assert, describe, it } from "@effect/vitest"
import type { World } from "../../../dsl/exactArtifacts.ts"
import { referenceOf, symbolsOf } from "../../../runtime/exact/world.ts"

const half = [
  [0.5, 0.5],
  [0.5, 0.5]
]
const bandit: World = {
  reference: { family: { kind: "softmax", contexts: 2, responses: 2 }, theta: [0, 0, 0, 1] },
  rewards: [half],
  preferences: [half, half]
}
const hazard = { family: { kind: "hazard", types: 2, horizon: 3 }, theta: [0, 1, 2, 3] } as const

describe("referenceOf", () => {
  it("gives the reference of a world that fits", () => {
    assert.deepStrictEqual(referenceOf(bandit).theta, Float64Array.of(0, 0, 0, 1))
    assert.strictEqual(referenceOf({ reference: hazard, tokenRewards: [1, -1] }).process.horizon, 3)
  })
  const faults: ReadonlyArray<readonly [RegExp, World]> = [
    [/3 parameters, the family has 4/, { ...bandit, reference: { ...bandit.reference, theta: [1, 2, 3] } }],
    [/rewards\[1\] has 1 entries, the reference 2/, { ...bandit, rewards: [half, [[1, 2]]] }],
    [/rewards\[0\]\[1\] has 1 entries/, { ...bandit, rewards: [[[1, 2], [3]]] }],
    [/preferences has 1 entries/, { ...bandit, preferences: [half] }],
    [/preferences\[1\]: row 0 has 1 entries/, { ...bandit, preferences: [half, [[0.5], [0.5]]] }],
    [
      /preferences\[1\]: P\[0\]\[1\]/,
      {
        ...bandit,
        preferences: [
          half,
          [
            [0.5, 0.6],
            [0.5, 0.5]
          ]
        ]
      }
    ],
    [/no tokenRewards/, { ...bandit, tokenRewards: [1, 2] }],
    [/tokenRewards has 3 entries, the reference 2/, { reference: hazard, tokenRewards: [1, 2, 3] }],
    [/a world of hazard sequences/, { reference: hazard, rewards: [half] }]
  ]
  for (const [message, world] of faults)
    it(`refuses: ${message.source}`, () => {
      assert.throws(() => referenceOf(world), RangeError, message)
    })
})

it("symbolsOf does not count the end", () => {
  const markov = { kind: "markov", symbols: 3, horizon: 2, endless: false } as const
  assert.strictEqual(symbolsOf(referenceOf({ reference: { family: markov, theta: new Array<number>(16).fill(0) } })), 3)
  assert.strictEqual(symbolsOf(referenceOf({ reference: hazard })), 2)
})
