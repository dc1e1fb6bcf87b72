import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import simpo from "../../pipelines/direct/simpo.ts"
import { holds, temporary, verdictOn } from "./held.ts"

layer(temporary)("SimPO's claims", (it) => {
  it.effect("answers said twice cost what they cost once", () =>
    holds(simpo, "answers said twice cost what they cost once")
  )
  it.effect("another reference changes nothing", () => holds(simpo, "another reference changes nothing"), 240_000)
  it.effect(
    "in two seeds, it ranks better than DPO, shorter answers, and gold rises",
    () =>
      Effect.gen(function* () {
        const measured = (name: string) => Effect.map(verdictOn(simpo, name, { seed: [1, 2] }), (v) => v.measured.value)
        const ranking = yield* measured("mean log-probability orders the training pairs better than DPO's policy")
        assert.isAbove(ranking, 0.05)
        assert.isBelow(yield* measured("answers are shorter than DPO's"), -0.5)
        assert.isAbove(yield* measured("gold rises"), 0.8)
      }),
    240_000
  )
})
