import { layer } from "@effect/vitest"
import { Effect } from "effect"
import ldDpo from "../../pipelines/direct/ldDpo.ts"
import { holds, temporary } from "./held.ts"

layer(temporary)("LD-DPO's claims", (it) => {
  for (const name of [
    "the loss of a pair of four and two tokens",
    "at alpha 1 it is DPO, loss and gradient",
    "at alpha 0 it is DPO of both answers cut to the shorter one's length"
  ])
    it.effect(name, () => holds(ldDpo, name))

  it.effect(
    "in one seed, DPO is verbose, and less so without the excess",
    () =>
      Effect.gen(function* () {
        const over = { seed: [1] }
        yield* holds(ldDpo, "DPO is verbose", over)
        yield* holds(ldDpo, "without the excess, answers are shorter in every seed", over)
        yield* holds(ldDpo, "what is preferred besides length is learned better without the excess", over)
      }),
    240_000
  )
})
