import { assert, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Component from "../../dsl/Component.ts"
import survey from "../../pipelines/direct/survey.ts"
import { taxonomy } from "../../pipelines/direct/taxonomy.ts"
import { dpo, type Objective } from "../../stages/index.ts"
import { holds, temporary, verdictOn } from "./held.ts"

const objectives = Component.registered("objective").filter(({ module }) => module.includes("/stages/"))

it("the taxonomy has each objective, once", () =>
  assert.sameMembers(
    Object.keys(taxonomy),
    objectives.map(({ componentName }) => componentName)
  ))

it.effect("objectives are free of a reference just where they read none", () =>
  Effect.forEach(objectives, (definition) =>
    Effect.gen(function* () {
      const name = definition.componentName
      if (name.startsWith("with-")) return
      const { implementation } = yield* definition.decode({})
      const { reference } = taxonomy[name]!.constraint
      assert.strictEqual(reference === "free", !(implementation as Objective).reads.reference, name)
    })
  )
)

layer(temporary)("the survey's claims in solved worlds", (it) => {
  for (const name of [
    "objectives cost what their equations say",
    "slopes are differences of the losses",
    "at the reference the slopes are the known ones",
    "the logistic loss ends at the optimum of reward and KL",
    "ipo ends at the optimum of win rate and KL for any preferences",
    "robust dpo does not see flipped labels",
    "dpo sees flipped labels",
    "f-dpo ends where reward and f'(policy / reference) differ by a constant"
  ])
    it.effect(name, () => holds(survey, name), 60_000)

  it.effect("flipped labels cost dpo 0.0356 nats at a rate of 0.1", () =>
    Effect.map(verdictOn(survey, "dpo sees flipped labels"), ({ measured }) =>
      assert.closeTo(measured.value, 0.035586, 1e-6)
    )
  )

  it.effect(
    "near-duplicates: dpop against dpo, one seed",
    () =>
      Effect.gen(function* () {
        const over = { seed: [0] }
        yield* holds(survey, "near-duplicates: dpop keeps chosen answers as likely as they were", over)
        yield* holds(survey, "near-duplicates: under dpo chosen answers fare worse than under dpop", over)
      }),
    60_000
  )
})

it("golden values are of the objectives as they stand", () =>
  assert.deepStrictEqual(dpo().params, { beta: 0.1, labelSmoothing: 0 }))
