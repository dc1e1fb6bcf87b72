import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import tpo from "../../pipelines/direct/tpo.ts"
import { holds, temporary, verdictOn } from "./held.ts"

const one = { seed: [0] }

layer(temporary)("Triple PO's claims in solved worlds", (it) => {
  for (const name of ["without the gold answer it is the contrast of CPO", "with the chosen answer as gold it is CPO"])
    it.effect(name, () => holds(tpo, name), 60_000)

  for (const name of [
    "beats supervised learning of the gold answer where the reward saturates",
    "beats DPO where the reward saturates",
    "beats supervised learning and then DPO where the reward saturates",
    "makes gold answers likelier",
    "DPO makes gold answers less likely"
  ])
    it.effect(`${name}: one seed`, () => holds(tpo, name, one), 60_000)

  it.effect(
    "DPO lowers mean ln policy(gold) by 19.5 to 21.5 nats, TPO raises it by 0.4 to 0.6",
    () =>
      Effect.gen(function* () {
        const falls = yield* verdictOn(tpo, "DPO makes gold answers less likely", one)
        assert.closeTo(falls.measured.value, -20.5, 1)
        const rises = yield* verdictOn(tpo, "makes gold answers likelier", one)
        assert.closeTo(rises.measured.value, 0.5, 0.1)
      }),
    60_000
  )
})
