import { NodeServices } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Inventory from "../../runtime/check/inventory.ts"
import * as Subjects from "../../runtime/check/subjects.ts"
import { Device } from "../../runtime/device/Device.ts"
import { Store } from "../../runtime/store/Store.ts"
import { temporaryStore } from "../runtime/executor/support.ts"

const temporary = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(Effect.sync(temporaryStore), ({ remove }) => Effect.sync(remove)),
    ({ root }) => Store.layer(root)
  )
)
const world = Layer.mergeAll(temporary, Device.layer("wasm"), NodeServices.layer)

const inventory = await Effect.runPromise(Inventory.shipped)
const lawsOf = (stage: { readonly name: string; readonly laws: ReadonlyArray<unknown> }) => [
  ...stage.laws,
  ...(inventory.contracts.get(`stage ${stage.name}`)?.laws ?? [])
]

describe("every stage", () => {
  for (const { stage } of inventory.stages)
    it(`${stage.name} has at least three laws of its own`, () => assert.isAtLeast(lawsOf(stage).length, 3))
})

layer(world)("the laws beside the stages", (it) => {
  for (const constructor of inventory.stages) {
    const laws = inventory.contracts.get(`stage ${constructor.stage.name}`)?.laws ?? []
    if (laws.length === 0) continue
    it.effect(constructor.stage.name, () =>
      Effect.gen(function* () {
        const { calls, problem, subject } = Subjects.ofStage(constructor, inventory)
        assert.isUndefined(problem)
        for (const law of laws) {
          const verdict = yield* law.check({
            seed: 1,
            ...(constructor.stage.numerics ? {} : { runs: 10 }),
            subject: subject!
          })
          assert.strictEqual(verdict._tag === "Broken" ? `${law.name}: ${verdict.reason}` : "holds", "holds")
        }
        assert.isTrue(calls.taken > 0 || calls.refused === 0, `${calls.refused} calls, all refused`)
      })
    )
  }
})
