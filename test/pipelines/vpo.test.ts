import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import vpo from "../../pipelines/direct/vpo.ts"
import { holds, temporary, verdictOn } from "./held.ts"

layer(temporary)("VPO's claims in solved worlds", (it) => {
  for (const name of [
    "online: rewards and policies have the same minimum",
    "online: both spaces agree on the objective and on the value",
    "online: the value rises with alpha",
    "offline: rewards and policies have the same minimum",
    "offline: both spaces agree on the objective and on the value",
    "offline: the value falls with alpha",
    "at alpha 0 it is DPO"
  ])
    it.effect(name, () => holds(vpo, name), 60_000)

  it.effect(
    "pessimism is worth more than DPO: the mean of ten seeds",
    () =>
      Effect.gen(function* () {
        const name = "offline, pessimism is worth more than DPO where half of the answers are hardly covered"
        const { measured } = yield* verdictOn(vpo, name, { seed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] })
        assert.isAbove(measured.value, 0.1)
      }),
    60_000
  )

  it.effect(
    "a second answer from the reference explores by itself: two seeds",
    () => holds(vpo, "online, a second answer from the reference explores by itself", { seed: [0, 1] }),
    60_000
  )
})
