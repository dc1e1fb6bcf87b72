import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import rpo from "../../pipelines/direct/rpo.ts"
import { holds, temporary, verdictOn } from "./held.ts"

layer(temporary)("RPO's claims in solved worlds", (it) => {
  for (const name of [
    "the loss is the adversary's value, base distribution of the chosen answers",
    "the loss is the adversary's value, base distribution of the baseline answers",
    "DPO ends in the response that no pair covers",
    "DPO overoptimizes",
    "RPO ends in the chosen response",
    "RPO does not overoptimize",
    "the more regularized, the better"
  ])
    it.effect(name, () => holds(rpo, name), 60_000)

  it.effect(
    "gold rewards after 1,000 steps: -2.000 of DPO, 0.809 at eta 0.2",
    () =>
      Effect.gen(function* () {
        assert.closeTo((yield* verdictOn(rpo, "DPO overoptimizes")).measured.value, -2, 5e-4)
        assert.closeTo((yield* verdictOn(rpo, "RPO does not overoptimize")).measured.value, 0.809, 5e-4)
      }),
    60_000
  )
})
