import { layer } from "@effect/vitest"
import gpm from "../../pipelines/direct/gpm.ts"
import { holds, temporary } from "./held.ts"

layer(temporary)("GPM's claims in solved worlds", (it) => {
  for (const { kind, name } of gpm.checks) if (kind === "exact") it.effect(name, () => holds(gpm, name), 60_000)
})
