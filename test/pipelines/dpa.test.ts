import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { it as plain } from "vitest"
import * as Rng from "../../dsl/Rng.ts"
import dpa from "../../pipelines/direct/dpa.ts"
import { conditional, linear } from "../../runtime/exact/families.ts"
import { responseLogProbs } from "../../runtime/exact/Policy.ts"
import { normalVector } from "../../runtime/exact/random.ts"
import { holds, temporary, verdictOn } from "./held.ts"

layer(temporary)("DPA's claims in solved worlds", (it) => {
  for (const name of [
    "maximum likelihood on all winners is the law of the best of n",
    "its KL keeps to the bound ln n - (n - 1) / n",
    "the directional reward rises in every round",
    "directional rewards are inner products with the direction",
    "the second of them is selected",
    "a direction of another length selects the same",
    "the best of two of (0.5, 0.3, 0.2) are (0.25, 0.39, 0.36)"
  ])
    it.effect(name, () => holds(dpa, name), 60_000)

  it.effect(
    "a told policy is steered, an untold one is not: one seed",
    () =>
      Effect.gen(function* () {
        const over = { seed: [0] }
        yield* holds(dpa, "the second reward follows the angle", over)
        yield* holds(dpa, "it is steered far", over)
        yield* holds(dpa, "unconditioned fine-tuning cannot be steered", over)
        yield* holds(dpa, "at every angle, seen or unseen, the directional reward exceeds the initial policy's", over)
        // One answer to choose from is no choice: nothing is learned.
        const { holds: held } = yield* verdictOn(dpa, "it is steered far", { ...over, n: [1] })
        assert.isFalse(held)
      }),
    120_000
  )
})

describe("a conditional family", () => {
  const features = [
    [1, 0.5],
    [1, -2],
    [1, 0]
  ]
  /** The same policies as a linear family, whose features name a response and a feature of the context. */
  const same = linear(
    features.map(() => [0, 0, 0, 0]),
    features.map((row) =>
      [0, 1, 2, 3].map((response) =>
        Array.from({ length: 8 }, (_, i) => (Math.floor(i / 2) === response ? row[i % 2]! : 0))
      )
    )
  )
  const theta = normalVector(8, Rng.make(0, "conditional"))

  plain("has the log-probabilities and the gradient of the linear family that it is", () => {
    const [ours, theirs] = [conditional(4, features).at(theta), same.at(theta)]
    const rows = [0, 1, 2, 1].map((context, i) => ({ context, tokens: [i], finish: "stop" as const }))
    const slopes = rows.map((_, i) => Float64Array.of(i - 1.5))
    for (const context of [0, 1, 2])
      responseLogProbs(ours, context).forEach((value, y) => {
        assert.closeTo(value, responseLogProbs(theirs, context)[y]!, 1e-12)
      })
    ours.pull(rows, slopes).forEach((slope, i) => {
      assert.closeTo(slope, theirs.pull(rows, slopes)[i]!, 1e-12)
    })
  })

  plain("takes as many features in every context, and as many parameters as they need", () => {
    assert.throws(() => conditional(4, [[1], [1, 2]]), RangeError)
    assert.throws(() => conditional(4, []), RangeError)
    assert.throws(() => conditional(4, features).at(theta.subarray(1)), RangeError)
  })
})
