import { layer } from "@effect/vitest"
import dno from "../../pipelines/direct/dno.ts"
import { holds, temporary } from "./held.ts"

layer(temporary)("DNO's claims in solved worlds", (it) => {
  for (const { kind, name } of dno.checks) if (kind === "exact") it.effect(name, () => holds(dno, name), 60_000)
})
