import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import type * as Law from "../../dsl/Law.ts"
import { components, kinds } from "./inventory.ts"

/** Parameters of the components that do not have a default for each. */
const params: Readonly<Record<string, object>> = {
  "reward/length": { target: 5 },
  "filter/length": { min: 1, max: 4 },
  "filter/score": { min: 0, max: 1 },
  "filter/min-completions": { count: 2 },
  "filter/spread": { min: 0.5 },
  "pair/all-above": { margin: 0.5 },
  "reward/weighted": {
    rewards: [
      { reward: "afinn", weight: 1 },
      { reward: "word-count", weight: -0.02 }
    ]
  },
  "world/given": {
    reference: [[0.5, 0.5]],
    rewards: [[[1, 0]]],
    preferences: [
      [
        [0.5, 0.7],
        [0.3, 0.5]
      ]
    ]
  },
  "world/sources": { prompts: 4 },
  "world/misspecified": { responses: 20 },
  "world/log-linear": { features: [[[1], [0], [2]]], rewards: [[[1, 0, -1]]] },
  "objective/with-degree": { objective: "dpo" },
  "objective/with-sft": { objective: "dpo" },
  "judge/by-reward": { reward: "afinn", scale: 2 },
  "judge/majority": { rewards: ["afinn", { name: "length", params: { target: 5 } }, "repetition"], confidence: 0.9 }
}

const holds = (law: Law.Law) =>
  Effect.map(law.check({ runs: 60 }), (verdict) => assert.strictEqual(verdict._tag, "Holds", JSON.stringify(verdict)))

beforeAll(async () => {
  await tf.setBackend("cpu")
  await tf.ready()
})

it("there are components of every kind that the stages take", () => {
  assert.sameMembers([...kinds.keys()], ["filter", "judge", "objective", "pair", "reward", "solution", "world"])
  for (const kind of kinds.keys())
    assert.isNotEmpty(
      components.filter((component) => component.kind === kind),
      kind
    )
})

for (const definition of components) {
  const id = `${definition.kind}/${definition.componentName}`
  describe(id, () => {
    it.effect("decodes what it encodes to, and has the same implementation for the same parameters", () =>
      Effect.gen(function* () {
        const first = yield* definition.decode(params[id] ?? {})
        const again = yield* definition.decode(first.params)
        assert.deepStrictEqual(again.params, first.params)
        assert.strictEqual(again.definition, definition)
      })
    )
    it.effect("obeys the laws of its kind and its own", () =>
      Effect.gen(function* () {
        const component = yield* definition.decode(params[id] ?? {})
        const laws = [...kinds.get(definition.kind)!.laws(component as never), ...definition.laws]
        assert.isNotEmpty(laws)
        yield* Effect.forEach(laws, holds, { discard: true })
      })
    )
  })
}
