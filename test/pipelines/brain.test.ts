import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import brain from "../../pipelines/direct/brain.ts"
import { holds, temporary, verdictOn } from "./held.ts"

layer(temporary)("BRAIn's claims in solved worlds", (it) => {
  for (const name of [
    "at the posterior no group has a gradient (drawn from the prior)",
    "at the posterior no group has a gradient (drawn from another policy)",
    "there, those of policy gradients (DPG) do not vanish",
    "the gradient is the difference of the normalized weights",
    "two answers and the better one alone are DPO: loss",
    "two answers and the better one alone are DPO: gradient"
  ])
    it.effect(name, () => holds(brain, name), 60_000)

  it.effect(
    "variances of the gradient are those of the closed forms: 1.574 / 0.174 for DPG, 1.199 / 0.174 for GDC++",
    () =>
      Effect.gen(function* () {
        const over = { seed: [0] }
        for (const [what, expected] of [
          ["DPG", 9.05],
          ["GDC++", 6.89]
        ] as const) {
          const { measured } = yield* verdictOn(brain, `the variance of ${what} is larger`, over)
          assert.closeTo(measured.value, expected, 0.15 * expected)
        }
        yield* holds(brain, "the variance of weights without their baseline is larger", over)
      }),
    60_000
  )

  it.effect(
    "the posterior is found, and not by DPO on the same samples: one seed",
    () =>
      Effect.gen(function* () {
        yield* holds(brain, "the posterior is found", { seed: [0] })
        yield* holds(brain, "closer than by DPO on the same samples", { seed: [0] })
      }),
    60_000
  )

  it.effect(
    "the one thing that is not so: GDC++'s weights do vanish at the posterior",
    () =>
      Effect.gen(function* () {
        const name = "there, those of GDC++ do not vanish"
        const { measured } = yield* verdictOn(brain, name)
        assert.isBelow(measured.value, 1e-12)
        assert.isString(brain.checks.find((check) => check.name === name)?.knownGap)
      }),
    60_000
  )
})
