import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import threeDProperties from "../../pipelines/direct/threeDProperties.ts"
import { holds, temporary, verdictOn } from "./held.ts"

layer(temporary)("the claims of 3D-properties where they are exact", (it) => {
  for (const { kind, name } of threeDProperties.checks)
    if (kind === "exact") it.effect(name, () => holds(threeDProperties, name), 240_000)

  it.effect(
    "hold for other unseen answers too",
    () =>
      Effect.gen(function* () {
        const over = { seed: [1] }
        yield* holds(threeDProperties, "under DPO the chosen answer peaks at the very beginning", over)
        yield* holds(threeDProperties, "a smaller beta for the rejected side disperses less", over)
        // The prototype's pi+ peaks within 40 steps, and ends below 1e-3.
        const peak = yield* verdictOn(threeDProperties, "under DPO the chosen answer peaks at the very beginning", over)
        assert.isAtMost(peak.measured.value, 40)
        const end = yield* verdictOn(threeDProperties, "under DPO the chosen answer is degraded", over)
        assert.isBelow(end.measured.value, 1e-3 / 0.4)
      }),
    240_000
  )
})
