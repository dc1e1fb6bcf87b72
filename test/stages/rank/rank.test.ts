import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { rank } from "../../../stages/rank/rank.ts"
import { assertLaws, collect } from "../support.ts"

describe("rank", () => {
  it.effect("obeys its laws", () => assertLaws(rank.stage.laws, { runs: 300 }))

  it.effect("sorts from best to worst, ties in sampled order, prompt by prompt", () =>
    Effect.gen(function* () {
      const answer = (text: string, score: number) => ({ text, score, finish: "stop", tokens: [1] })
      const [a, b, c, d] = [answer("a", 1), answer("b", 2), answer("c", 1), answer("d", -3)]
      const [p, q] = [
        { id: "p", text: "p" },
        { id: "q", text: "" }
      ]
      const input = [
        { prompt: p, completions: [d, a, b, c] },
        { prompt: q, completions: [] }
      ]
      assert.deepEqual(yield* collect(rank, { input }), [
        { prompt: p, ranked: [b, a, c, d] },
        { prompt: q, ranked: [] }
      ])
      assert.deepEqual(input[0]!.completions, [d, a, b, c])
    })
  )
})
