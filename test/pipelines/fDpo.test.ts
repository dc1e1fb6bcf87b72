import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import fDpo from "../../pipelines/direct/fDpo.ts"
import { holds, temporary, verdictOn } from "./held.ts"

const DIVERGENCES = ["reverse_kl", "forward_kl", "jsd", "alpha"] as const

layer(temporary)("f-DPO's claims in solved worlds", (it) => {
  for (const divergence of DIVERGENCES)
    it.effect(
      `${divergence} is solved`,
      () => holds(fDpo, `${divergence}: the population loss is minimal at the optimum of reward and divergence`),
      60_000
    )

  for (const name of [
    "the divergences' optima differ",
    "reverse_kl is DPO",
    "alpha 0.001 is the reverse KL",
    "alpha 0.999 is the forward KL"
  ])
    it.effect(name, () => holds(fDpo, name), 60_000)

  for (const divergence of ["reverse_kl", "forward_kl", "jsd"])
    it.effect(
      `${divergence} has the least of its own divergence, two problems, by more than rounding`,
      () =>
        Effect.gen(function* () {
          const name = `${divergence}: its policy has the least of its divergence at equal reward`
          const { measured } = yield* verdictOn(fDpo, name, { seed: [0, 1] })
          assert.isAbove(measured.value, 1e-6)
        }),
      60_000
    )
})
