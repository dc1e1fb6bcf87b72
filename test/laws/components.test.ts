import { NodeServices } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Inventory from "../../runtime/check/inventory.ts"
import * as Subjects from "../../runtime/check/subjects.ts"
import { Device } from "../../runtime/device/Device.ts"

const inventory = await Effect.runPromise(Inventory.shipped)
const { components, kinds } = inventory

it("there are components of every kind that the stages take", () => {
  assert.sameMembers([...kinds.keys()], ["filter", "judge", "objective", "pair", "reward", "solution", "world"])
  for (const kind of kinds.keys())
    assert.isNotEmpty(
      components.filter((component) => component.kind === kind),
      kind
    )
})

layer(Layer.mergeAll(Device.layer("cpu"), NodeServices.layer))("every component", (it) => {
  for (const definition of components) {
    describe(`${definition.kind}/${definition.componentName}`, () => {
      it.effect("obeys the laws of its kind and its own, and is itself when read from its data", () =>
        Effect.gen(function* () {
          const { laws, problem } = yield* Subjects.ofComponent(definition, inventory)
          assert.isUndefined(problem)
          assert.isAbove(laws.length, 1)
          for (const law of laws) {
            const verdict = yield* law.check({ runs: 60 })
            assert.strictEqual(verdict._tag, "Holds", JSON.stringify(verdict))
          }
        })
      )
    })
  }
})
