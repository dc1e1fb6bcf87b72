import { layer } from "@effect/vitest"
import rewardModels from "../../pipelines/direct/rewardModels.ts"
import { holds, temporary } from "./held.ts"

layer(temporary)("the claims about reward models where they are exact, one seed", (it) => {
  for (const { name, outputs = [] } of rewardModels.checks)
    if (!name.startsWith("on text"))
      it.effect(name, () => holds(rewardModels, name, outputs.length === 0 ? {} : { seed: [0] }), 240_000)
})
