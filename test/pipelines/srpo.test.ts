import { layer } from "@effect/vitest"
import srpo from "../../pipelines/direct/srpo.ts"
import { holds, temporary } from "./held.ts"

layer(temporary)("SRPO's claims in solved worlds", (it) => {
  for (const { kind, name } of srpo.checks) if (kind === "exact") it.effect(name, () => holds(srpo, name), 60_000)
})
