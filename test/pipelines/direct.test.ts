import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { expectTypeOf } from "vitest"
import type * as Artifact from "../../dsl/Artifact.ts"
import type * as Check from "../../dsl/Check.ts"
import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { catalog } from "../../pipelines/catalog.ts"
import dpo from "../../pipelines/direct/dpo.ts"
import simpo from "../../pipelines/direct/simpo.ts"
import * as Text from "../../pipelines/testbeds/text.ts"
import * as textChecks from "../../pipelines/testbeds/textChecks.ts"
import { Device } from "../../runtime/device/Device.ts"
import * as Claims from "../../runtime/executor/Claims.ts"
import * as stages from "../../stages/index.ts"
import { source, temporaryStore } from "../runtime/executor/support.ts"

describe("the pipelines of the direct family", () => {
  it("say in their types what they can fail with and what they need", () => {
    expectTypeOf<Pipeline.Services<typeof dpo>>().toEqualTypeOf<Device>()
    expectTypeOf<Pipeline.Services<typeof simpo>>().toEqualTypeOf<Device>()
    expectTypeOf<Artifact.DecodeError>().toExtend<Pipeline.Error<typeof dpo>>()
  })

  it.effect("build with their defaults, each node reachable from an output", () =>
    Effect.forEach(catalog, ({ pipeline }) =>
      Effect.map(Pipeline.build(pipeline), ({ graph }) => {
        const used = new Set([
          ...Object.values(graph.outputs),
          ...graph.nodes.flatMap(({ inputs }) => Object.values(inputs))
        ])
        assert.sameMembers(
          [...used],
          graph.nodes.map(({ id }) => id)
        )
        assert.isNotEmpty(pipeline.checks)
      })
    )
  )

  it.effect("dpo annotates with its reference, simpo never asks for one", () =>
    Effect.gen(function* () {
      const stagesOf = (pipeline: Pipeline.Pipeline) =>
        Effect.map(Pipeline.build(pipeline), ({ graph }) => graph.nodes.map(({ node }) => node.stage.name))
      assert.include(yield* stagesOf(dpo), "score.log-probs")
      assert.notInclude(yield* stagesOf(simpo), "score.log-probs")
    })
  )

  it.effect("in a sweep over beta everything before the optimization is there once", () =>
    Effect.gen(function* () {
      const { graph } = yield* Pipeline.build(Pipeline.sweep({ beta: [0.05, 0.5] }, dpo))
      const count = (name: string) => graph.nodes.filter(({ node }) => node.stage.name === name).length
      assert.deepStrictEqual(
        ["optimize.supervised", "sample", "score.log-probs", "optimize.preference", "evaluate"].map(count),
        [1, 2, 2, 2, 2]
      )
    })
  )
})

/**
 * The claims of DPO on a smaller scale than `prefline claims dpo`: one starting policy, trained once, and three seeds of
 * everything after it.
 */
const small = { learningRate: 8e-4, steps: 70, trainPrompts: 500, testPrompts: 120, perPrompt: 8 }
const start = () => Pipeline.withSeed(0, () => Text.policy({ steps: 350 }))
const smallDpo = Pipeline.make(
  "dpo-small",
  { description: "", params: { beta: Positive.pipe(withDefault(0.1)) } },
  ({ beta }) => Text.experiment({ from: start(), objective: stages.dpo({ beta }), ...small })
)

const layers = () => {
  const store = temporaryStore()
  return Layer.mergeAll(
    store.layer,
    Device.layer("wasm"),
    NodeServices.layer,
    Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(store.remove)))
  )
}

describe("DPO's claims, three seeds on a small scale", () => {
  it.live(
    "hold",
    () =>
      Effect.gen(function* () {
        const checks: ReadonlyArray<Check.Check> = [
          textChecks.judgeGains(0.02),
          textChecks.moves,
          textChecks.heldOutAccuracy,
          textChecks.lowerBetaMovesFurther([0.1, 1])
        ]
        for (const check of checks) {
          const built = yield* Claims.build(smallDpo, check, { source })
          const verdict = yield* Claims.verdict(check, built, { source })
          const { interval, value } = verdict.measured
          console.log(`${check.name}: ${value.toFixed(3)} [${interval?.map((x) => x.toFixed(3)).join(", ")}]`)
          assert.isTrue(verdict.holds, `${check.name}: ${check.expected}; measured ${value} [${interval}]`)
        }
      }).pipe(Effect.provide(layers())),
    400_000
  )
})
