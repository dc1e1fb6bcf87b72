/** Objectives trained in worlds that are solved: they must end where the mathematics says. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { Evaluation } from "../../../dsl/artifacts.ts"
import * as Pipeline from "../../../dsl/Pipeline.ts"
import * as Executor from "../../../runtime/executor/Executor.ts"
import { CodeHash } from "../../../runtime/store/CodeHash.ts"
import { Store } from "../../../runtime/store/Store.ts"
import { dpo, exact, ipo } from "../../../stages/index.ts"
import { temporaryStore } from "../../runtime/executor/support.ts"

const temporary = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(Effect.sync(temporaryStore), ({ remove }) => Effect.sync(remove)),
    ({ root }) => Layer.merge(Store.layer(root), CodeHash.layer)
  )
)

const reported = Effect.fnUntraced(function* (pipeline: Pipeline.Pipeline, params: object = {}) {
  const built = yield* Pipeline.build(pipeline, params as {})
  const result = yield* Executor.run(built as Pipeline.Built<never, never>, {
    source: { module: import.meta.url, export: "none" }
  })
  const store = yield* Store
  const id = built.graph.outputs["report"]!
  const value = yield* store.read(built.graph.byId.get(id)!.node.artifact, result.outputs["report"]!)
  return (value as Evaluation).estimates
})

layer(Layer.mergeAll(temporary, NodeServices.layer))("in solved worlds", (it) => {
  describe("the population loss of DPO", () => {
    for (const sampling of ["uniform", "reference"] as const)
      it.effect(`is minimal at the KL-regularized optimum, pairs from ${sampling}`, () =>
        Effect.gen(function* () {
          const pipeline = Pipeline.make("t", { description: "", params: {} }, () => {
            const world = exact.world({ world: exact.bandit() })
            const reference = world.pipe(exact.start())
            const policy = world.pipe(
              exact.population({ sampling }),
              exact.optimize({ from: reference, reference, objective: dpo({ beta: 0.5 }) })
            )
            const target = world.pipe(exact.solve({ solution: exact.klOptimum({ beta: 0.5 }) }))
            return { report: world.pipe(exact.evaluate({ policy, target, beta: 0.5 })) }
          })
          const found = yield* reported(pipeline)
          assert.isBelow(found["target/max_error"]!.mean, 1e-8)
          assert.isBelow(found["implicit_reward/spread"]!.mean, 1e-6)
          assert.isAbove(found["kl"]!.mean, 0.1)
        })
      )
  })
  it.effect("IPO's optimum follows the preference matrix, whatever it is", () =>
    Effect.gen(function* () {
      const pipeline = Pipeline.make("t", { description: "", params: {} }, () => {
        const world = exact.world({ world: exact.bandit({ preferences: "general", responses: 5 }) })
        const reference = world.pipe(exact.start())
        const policy = world.pipe(
          exact.population(),
          exact.optimize({ from: reference, reference, objective: ipo({ tau: 0.5 }) })
        )
        const target = world.pipe(exact.solve({ solution: exact.ipoOptimum({ tau: 0.5 }) }))
        return { report: world.pipe(exact.evaluate({ policy, target })) }
      })
      assert.isBelow((yield* reported(pipeline))["target/max_log_error"]!.mean, 1e-8)
    })
  )
})
