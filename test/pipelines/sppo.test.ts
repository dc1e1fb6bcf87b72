import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type * as Component from "../../dsl/Component.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import sppoPipeline from "../../pipelines/direct/sppo.ts"
import * as Checks from "../../pipelines/testbeds/checks.ts"
import * as Games from "../../pipelines/testbeds/games.ts"
import * as Tabular from "../../pipelines/testbeds/tabular.ts"
import { dno, dpo, exact, gpo, type Objective, sppo } from "../../stages/index.ts"
import { holds, temporary, verdictOn } from "./held.ts"

layer(temporary)("SPPO's claims in solved worlds", (it) => {
  for (const { kind, name } of sppoPipeline.checks)
    if (kind === "exact") it.effect(name, () => holds(sppoPipeline, name), 60_000)
})

/** One round in a cycle by some objective, compared with the update of multiplicative weights. */
const update = (objective: Component.Component<"objective", Objective, any, any>, payoff: "win-rate" | "log-odds") =>
  Pipeline.make(
    "update",
    {
      description: "",
      params: {},
      checks: [
        Checks.exact({
          name: "is the update",
          expected: "below 1e-3",
          outputs: ["report"],
          value: Checks.estimate("report", "target/max_error"),
          below: 1e-3
        })
      ]
    },
    () => {
      const world = Games.game([0.6, 0.3, 0.1], Games.ofScores([[1, -0.5], [3]]))
      const policy = world.pipe(exact.start())
      const fitted = world.pipe(
        exact.winRates({ policy, payoff }),
        exact.optimize({ from: policy, reference: policy, objective, steps: 300 })
      )
      const target = world.pipe(exact.solve({ solution: exact.selfPlay({ payoff }) }))
      return { report: Tabular.judged(world, fitted, { target }) }
    }
  )

layer(temporary)("regression on win rates", (it) => {
  for (const [name, objective, payoff] of [
    ["SPPO", sppo({ eta: 1 }), "win-rate"],
    ["DNO", dno({ eta: 1 }), "win-rate"],
    ["GPO", gpo({ beta: 1, logZ: "given" }), "log-odds"]
  ] as const)
    it.effect(`${name} makes the update of multiplicative weights, DPO does not`, () =>
      Effect.gen(function* () {
        assert.isTrue((yield* verdictOn(update(objective, payoff), "is the update")).holds)
        assert.isFalse((yield* verdictOn(update(dpo({ beta: 0.1 }), payoff), "is the update")).holds)
      })
    )
})
