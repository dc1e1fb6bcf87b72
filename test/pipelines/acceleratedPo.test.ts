import { layer } from "@effect/vitest"
import acceleratedPo from "../../pipelines/direct/acceleratedPo.ts"
import { holds, temporary } from "./held.ts"

layer(temporary)("accelerated preference optimization's claims in solved worlds", (it) => {
  for (const { kind, name } of acceleratedPo.checks)
    if (kind === "exact") it.effect(name, () => holds(acceleratedPo, name), 60_000)
})
