import { layer } from "@effect/vitest"
import { Effect } from "effect"
import simpo from "../../pipelines/direct/simpo.ts"
import { holds, temporary } from "./held.ts"

layer(temporary)("SimPO's claims", (it) => {
  it.effect("answers said twice cost what they cost once", () =>
    holds(simpo, "answers said twice cost what they cost once")
  )
  it.effect("another reference changes nothing", () => holds(simpo, "another reference changes nothing"), 60_000)
  it.effect(
    "in two seeds, answers are shorter than DPO's, and better than the reference's",
    () =>
      Effect.gen(function* () {
        const over = { seed: [1, 2] }
        yield* holds(simpo, "mean log-probability orders the training pairs better than DPO's policy", over)
        yield* holds(simpo, "gold rises", over)
      }),
    60_000
  )
})
