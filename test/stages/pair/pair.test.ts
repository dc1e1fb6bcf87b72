import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Pair, ScoredCompletion, ScoredGroup } from "../../../dsl/artifacts.ts"
import { adjacent } from "../../../stages/pair/adjacent.ts"
import { allAbove } from "../../../stages/pair/allAbove.ts"
import { bestWorst } from "../../../stages/pair/bestWorst.ts"
import { PairRule, type Preference } from "../../../stages/pair/PairRule.ts"
import { NoPairs, PairRuleBroken, pair } from "../../../stages/pair/pair.ts"
import { assertBroken, assertLaws, collect } from "../support.ts"

const group = (id: string, ...scores: ReadonlyArray<number>): ScoredGroup => ({
  prompt: { id, text: `prompt ${id}` },
  completions: scores.map((score, i) => ({ text: `${id}${i}`, score, finish: "stop" }))
})
type AnyRule = ReturnType<typeof bestWorst>
const paired = (rule: AnyRule, input: ReadonlyArray<ScoredGroup>, params = {}) =>
  collect<Pair, any>(pair, { params: { by: { name: rule.name, params: rule.params }, ...params }, input })
const places = (rule: AnyRule, ...scores: ReadonlyArray<number>) =>
  rule.implementation.pairs(group("p", ...scores).completions)

describe("pair rules", () => {
  for (const rule of [bestWorst(), allAbove(), allAbove({ margin: 0.5 }), adjacent()]) {
    it.effect(`${rule.name} ${JSON.stringify(rule.params)} obeys the laws of pair rules`, () =>
      assertLaws([...PairRule.laws(rule), ...rule.definition.laws], { runs: 300 })
    )
  }

  it("best-worst takes the first best over the first worst, and nothing where all tie", () => {
    assert.deepEqual(places(bestWorst(), 1, 3, 0, 3, 0), [[1, 2]])
    assert.deepEqual(places(bestWorst(), 2, 2, 2), [])
    assert.deepEqual(places(bestWorst(), 2), [])
    assert.deepEqual(places(bestWorst()), [])
    assert.deepEqual(places(bestWorst(), 0, -0), [])
  })

  it("all-above takes every pair that differs by more than the margin", () => {
    assert.deepEqual(places(allAbove(), 1, 3, 2), [
      [1, 2],
      [1, 0],
      [2, 0]
    ])
    assert.deepEqual(places(allAbove({ margin: 1 }), 1, 3, 2), [[1, 0]])
    assert.deepEqual(places(allAbove(), 1, 1), [])
    assert.lengthOf(places(allAbove(), 1, 2, 3, 4, 5), 10)
  })

  it("adjacent chains the levels of the ranking", () => {
    assert.deepEqual(places(adjacent(), 1, 3, 2, 3), [
      [1, 2],
      [2, 0]
    ])
    assert.deepEqual(places(adjacent(), 1, 1), [])
    assert.deepEqual(places(adjacent()), [])
  })
})

describe("pair", () => {
  it.effect("obeys its law", () => assertLaws(pair.stage.laws, { runs: 300 }))

  it.effect("makes pairs within a prompt, named by the places of their answers", () =>
    Effect.gen(function* () {
      const full: ScoredCompletion = { text: "best", tokens: [7], finish: "length", score: 2.5 }
      const first = group("p", 1, 0)
      const groups = [
        { ...first, completions: [...first.completions, full] },
        group("tied", 1, 1),
        group("q/0-1", 0, 4)
      ]
      assert.deepEqual(yield* paired(bestWorst(), groups), [
        {
          id: "p/2-1",
          prompt: { id: "p", text: "prompt p" },
          chosen: { text: "best", tokens: [7], finish: "length" },
          rejected: { text: "p1", finish: "stop" },
          margin: 2.5
        },
        {
          id: "q/0-1/1-0",
          prompt: { id: "q/0-1", text: "prompt q/0-1" },
          chosen: { text: "q/0-11", finish: "stop" },
          rejected: { text: "q/0-10", finish: "stop" },
          margin: 4
        }
      ])
      const all = yield* paired(allAbove(), [group("a", 1, 2, 3), group("b", 3, 1)])
      assert.deepEqual(
        all.map(({ id }) => id),
        ["a/2-1", "a/2-0", "a/1-0", "b/0-1"]
      )
      assert.deepEqual(
        yield* paired(allAbove(), [group("a", 1, 2, 3), group("b", 3, 1)], { limit: 2 }),
        all.slice(0, 2)
      )
    })
  )

  it.effect("fails where not one pair comes out, with the counts that tell why", () =>
    Effect.gen(function* () {
      const groups = [group("one", 1), group("none"), group("tied", 2, 2, 2), group("near", 1, 1.25)]
      const error: NoPairs = yield* Effect.flip(paired(allAbove({ margin: 0.5 }), groups))
      assert.instanceOf(error, NoPairs)
      assert.deepInclude(error, { rule: "all-above", prompts: 4, single: 2, tied: 1 })
      assert.include(
        error.message,
        "no pairs from 4 prompts by the rule all-above: 2 have fewer than two answers, 1 have"
      )
      const empty: NoPairs = yield* Effect.flip(paired(bestWorst(), []))
      assert.include(empty.message, "no prompt was given")
    })
  )

  it.effect("refuses a rule that prefers the worse, points nowhere or repeats itself", () =>
    Effect.gen(function* () {
      const wrong = (name: string, preferences: ReadonlyArray<Preference>) =>
        PairRule.define(name, {
          module: import.meta.url,
          description: "",
          params: {},
          make: () => ({ pairs: () => preferences })
        })()
      const cases = [
        [wrong("backwards", [[0, 1]]), /prefers answer 0 \(score 1\) to answer 1 \(score 2\)/],
        [wrong("outside", [[1, 2]]), /pairs answers 1 and 2 of 2/],
        [wrong("fraction", [[0.5, 1]]), /pairs answers 0.5 and 1 of 2/],
        [wrong("itself", [[1, 1]]), /prefers answer 1/],
        [
          wrong("twice", [
            [1, 0],
            [1, 0]
          ]),
          /pairs answers 1 and 0 twice/
        ] // prettier-ignore
      ] as const
      for (const [rule, problem] of cases) {
        const error: PairRuleBroken = yield* Effect.flip(paired(rule, [group("p", 1, 2)]))
        assert.instanceOf(error, PairRuleBroken)
        assert.match(error.message, problem)
        assert.include(error.message, 'prompt "p"')
      }
    })
  )
})

describe("the laws of pair rules", () => {
  const define = (name: string, pairs: PairRule["pairs"]) =>
    PairRule.define(name, { module: import.meta.url, description: "", params: {}, make: () => ({ pairs }) })()

  it.effect("break for a flipped comparison, a pairing by place, a threshold on scores", () =>
    Effect.gen(function* () {
      const best = bestWorst().implementation.pairs
      const flipped = define("flipped", (completions) => best(completions).map(([c, r]) => [r, c]))
      const loose = define("loose", (completions) => (completions.length > 1 ? [[0, 1]] : []))
      const sided = define("sided", (completions) => {
        const [a, b] = completions
        return a !== undefined && b !== undefined && a.score > b.score ? [[0, 1]] : []
      })
      const positive = define("positive", (completions) =>
        best(completions).filter(([chosen]) => completions[chosen]!.score > 0)
      )
      const strict = "prefers answers of the prompt with the strictly higher score, no pair twice"
      yield* assertBroken(PairRule.laws(flipped), strict)
      yield* assertBroken(PairRule.laws(loose), strict)
      yield* assertBroken(PairRule.laws(sided), "does not depend on the order of answers without ties")
      yield* assertBroken(PairRule.laws(positive), "sees only differences of scores")
    })
  )
})
