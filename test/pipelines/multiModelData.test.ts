import { assert, describe, layer, it as plain } from "@effect/vitest"
import { Effect, Exit } from "effect"
import type { Pair, ScoredGroup } from "../../dsl/artifacts.ts"
import * as Rng from "../../dsl/Rng.ts"
import multiModelData from "../../pipelines/direct/multiModelData.ts"
import { crossValidated, fitProbe, probeAccuracy } from "../../stages/evaluate/linearProbe.ts"
import { sources } from "../../stages/pair/sources.ts"
import { collect } from "../stages/support.ts"
import { holds, temporary } from "./held.ts"

layer(temporary)("the claims about pairs of several models, one seed", (it) => {
  for (const { name } of multiModelData.checks) {
    // An average needs two seeds.
    const over = { seed: name.includes("no attack") ? [0, 1] : [0] }
    it.effect(name, () => holds(multiModelData, name, over), 120_000)
  }
})

describe("pairs by recipe", () => {
  const group = (id: string, ...answers: ReadonlyArray<readonly [text: string, score: number]>): ScoredGroup => ({
    prompt: { id, text: "how?" },
    completions: answers.map(([text, score]) => ({ text, score, finish: "stop" }))
  })
  const input = [
    group("a", ["tiny", 9], ["middling", 1], ["the best", 2], ["the worst", -1], ["best again", 2]),
    group("b", ["only one", 0], ["no", 5])
  ]
  const inputs = {
    greedy: [group("b", ["my own", 3]), group("a", ["my own way", 0])],
    strong: [group("a", ["so strong", 0], ["stronger", 7])],
    human: [
      {
        id: "h",
        prompt: { id: "a", text: "how?" },
        chosen: { text: "liked", finish: "stop" },
        rejected: { text: "disliked", finish: "stop" },
        margin: 2
      } satisfies Pair
    ]
  }
  const made = (recipe: string, more: object = {}) =>
    Effect.map(collect<Pair>(sources, { input, inputs: { ...inputs, ...more }, params: { recipe } }), (pairs) =>
      pairs.map(({ chosen, id, margin, numbers, rejected }) => [
        `${chosen.text} > ${rejected.text}`,
        id,
        margin,
        numbers!["chosenSource"],
        numbers!["rejectedSource"]
      ])
    )

  plain.effect("are those of their sources, whatever the order of prompts", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* made("human-human"), [["liked > disliked", "a/chosen-rejected", 2, 2, 2]])
      assert.deepStrictEqual(yield* made("human-self"), [["liked > my own way", "a/chosen-greedy0", 0, 2, 0]])
      assert.deepStrictEqual(yield* made("self-reward"), [["the best > the worst", "a/target2-target3", 3, 0, 0]])
      assert.deepStrictEqual(yield* made("strong-self"), [["so strong > my own way", "a/strong0-greedy0", 0, 1, 0]])
      // A tie leaves the stronger model's answer chosen.
      assert.deepStrictEqual(yield* made("strong-self-reward"), [
        ["so strong > my own way", "a/strong0-greedy0", 0, 1, 0]
      ])
      assert.deepStrictEqual(yield* made("multi-reward"), [["stronger > the worst", "a/strong1-target3", 8, 1, 0]])
      const stronger = { greedy: [group("a", ["my own way", 0.5])] }
      assert.deepStrictEqual(yield* made("strong-self-reward", stronger), [
        ["my own way > so strong", "a/greedy0-strong0", 0.5, 0, 1]
      ])
    })
  )

  plain.effect("fail where a source is not given, or no pair is left", () =>
    Effect.gen(function* () {
      const missing = yield* Effect.flip(collect(sources, { input, params: { recipe: "strong-self" } }))
      assert.strictEqual((missing as { readonly _tag: string })._tag, "SourceMissing")
      const none = yield* Effect.exit(made("strong-self", { strong: [group("c", ["x", 0])] }))
      assert.isTrue(Exit.isFailure(none))
    })
  )
})

describe("a linear probe", () => {
  const rng = Rng.make(0, "probe")
  const side = (label: string, shift: number) =>
    Array.from({ length: 60 }, (_, i) => [0, 1].map((d) => (d === 0 ? shift : 0) + rng.fork(label).normal(2 * i + d)))
  const pairs = (shift: number) => {
    const rejected = side("rejected", 0)
    return side("chosen", shift).map((chosen, i) => ({ chosen, rejected: rejected[i]! }))
  }

  plain("ends where the penalized loss has no slope", () => {
    const { intercept, weights } = fitProbe(pairs(1), 1)
    const slope = [weights[0]!, weights[1]!, 0]
    for (const { chosen, rejected } of pairs(1))
      for (const [x, label] of [
        [chosen, 1],
        [rejected, 0]
      ] as const) {
        const p = 1 / (1 + Math.exp(-(weights[0]! * x[0]! + weights[1]! * x[1]! + intercept)))
        for (const [i, value] of [x[0]!, x[1]!, 1].entries()) slope[i]! += (p - label) * value
      }
    for (const value of slope) assert.closeTo(value, 0, 1e-5)
  })

  plain("holds both sides of a pair out, and is as good as the sides lie apart", () => {
    const mean = (values: ReadonlyArray<number>) => values.reduce((sum, x) => sum + x, 0) / values.length
    const options = { folds: 5, strength: 1 }
    const accuracies = [0, 1, 3].map((shift) => mean(crossValidated(pairs(shift), options)))
    assert.closeTo(accuracies[0]!, 0.5, 0.12)
    // Two normals of deviation 1 at a distance d are told apart with probability Phi(d / 2).
    assert.closeTo(accuracies[1]!, 0.69, 0.09)
    assert.closeTo(accuracies[2]!, 0.93, 0.05)
    assert.strictEqual(
      probeAccuracy({ weights: Float64Array.of(1, 0), intercept: -1 }, [{ chosen: [2, 0], rejected: [1, 0] }]),
      1
    )
  })
})
