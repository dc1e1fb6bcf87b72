import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import tgdpo from "../../pipelines/direct/tgdpo.ts"
import { holds, temporary, verdictOn } from "./held.ts"

layer(temporary)("TGDPO's claims", (it) => {
  for (const name of [
    "without guidance it is DPO, loss and gradient",
    "tokens are pushed in proportion to their weights",
    "the loss of a pair of three and two tokens"
  ])
    it.effect(name, () => holds(tgdpo, name))

  it.effect(
    "in two seeds, guidance is used: an oracle leads on, its opposite away",
    () =>
      Effect.gen(function* () {
        const over = { seed: [0, 1] }
        yield* holds(tgdpo, "negated guidance leads away from gold", over)
        const { measured } = yield* verdictOn(tgdpo, "an oracle guides at least as well as a DPO policy", over)
        assert.isAbove(measured.value, 0)
      }),
    240_000
  )
})
