import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import rso from "../../pipelines/direct/rso.ts"
import { dpo, hinge, slicHf } from "../../stages/index.ts"
import * as Float64 from "../../stages/optimize/algebra/float64.ts"
import { holds, temporary, verdictOn } from "./held.ts"

layer(temporary)("RSO's claims in solved worlds", (it) => {
  for (const name of [
    "the first accepted answer follows the optimal policy",
    "the candidates themselves do not",
    "counting repeated answers once loses the law",
    "the share accepted in the first pass is E exp((r - best) / beta)",
    "at beta 0 the best are accepted, from the best down",
    "at a large beta the first are accepted, as they stand",
    "hinge-norm is done once every pair leads by 1"
  ])
    it.effect(name, () => holds(rso, name), 60_000)

  it.effect(
    "where no policy is the optimum, it matters which pairs are compared: two seeds",
    () =>
      Effect.gen(function* () {
        const over = { seed: [0, 1] }
        const sampled = "rejection sampling estimates the optimum better than the starting policy's pairs"
        const own = "the starting policy's pairs estimate the optimum better than another policy's"
        yield* holds(rso, sampled, over)
        yield* holds(rso, own, over)
        // A filter that accepts at random leaves the starting policy's pairs: the claim must not hold of it.
        const { holds: held, measured } = yield* verdictOn(rso, sampled, { ...over, beta: [1e9] })
        assert.isFalse(held, `with a filter that accepts anything the ratio is ${measured.value}`)
      }),
    120_000
  )

  it("the losses of a pair", () => {
    const answers = (policy: number, reference: number) => ({
      logProbs: { policy: [[policy]], reference: [[reference]] }
    })
    const item = { size: 1, numbers: {}, answers: { chosen: answers(-20, -22), rejected: answers(-24, -21) } }
    const lossOf = ({
      implementation
    }: {
      readonly implementation: { readonly loss: Parameters<typeof Float64.evaluate>[0][0] }
    }) => Float64.evaluate([implementation.loss], item).values[0]![0]!
    assert.closeTo(lossOf(dpo({ beta: 0.05 })), 0.5759394199, 1e-10)
    assert.closeTo(lossOf(hinge({ beta: 0.05 })), 0.75, 1e-12)
    // SLiC's hinge has no reference, and a margin of 1 on gamma times the gap.
    assert.closeTo(0.05 * lossOf(slicHf({ delta: 20, lambda: 0 })), 0.8, 1e-12)
  })
})
