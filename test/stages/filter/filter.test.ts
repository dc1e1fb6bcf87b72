import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ScoredCompletion, ScoredGroup } from "../../../dsl/artifacts.ts"
import { distinct } from "../../../stages/filter/distinct.ts"
import { FilterRule, idempotent } from "../../../stages/filter/FilterRule.ts"
import { FilterRuleBroken, filter } from "../../../stages/filter/filter.ts"
import { lengthBounds } from "../../../stages/filter/lengthBounds.ts"
import { minCompletions } from "../../../stages/filter/minCompletions.ts"
import { nonEmpty } from "../../../stages/filter/nonEmpty.ts"
import { scoreBounds } from "../../../stages/filter/scoreBounds.ts"
import { spread } from "../../../stages/filter/spread.ts"
import { assertBroken, assertLaws, collect } from "../support.ts"

const answer = (text: string, score = 0): ScoredCompletion => ({ text, score, finish: "stop" })
const group = (id: string, ...completions: ReadonlyArray<ScoredCompletion>): ScoredGroup => ({
  prompt: { id, text: id },
  completions
})
type AnyRule = ReturnType<typeof distinct>
const filtered = (rule: AnyRule, ...input: ReadonlyArray<ScoredGroup>) =>
  collect<ScoredGroup>(filter, { params: { by: { name: rule.name, params: rule.params } }, input })
const textsOf = (groups: ReadonlyArray<ScoredGroup>) =>
  groups.map(({ completions }) => completions.map(({ text }) => text))

describe("filter rules", () => {
  for (const rule of [
    distinct(),
    nonEmpty(),
    lengthBounds(),
    lengthBounds({ min: 1, max: 2 }),
    scoreBounds({ min: 0 }),
    minCompletions({ count: 4 }),
    spread({ min: 1 })
  ]) {
    it.effect(`${rule.name} ${JSON.stringify(rule.params)} obeys the laws of filter rules`, () =>
      assertLaws([...FilterRule.laws(rule), ...rule.definition.laws, idempotent(rule.implementation)])
    )
  }

  it.effect("distinct keeps the first of equal answers, within a prompt", () =>
    Effect.gen(function* () {
      const kept = yield* filtered(
        distinct(),
        group("p", answer(" a", 1), answer("b"), answer("a ", 2), answer("A"), answer("b")),
        group("q", answer("a"))
      )
      assert.deepEqual(textsOf(kept), [[" a", "b", "A"], ["a"]])
      assert.strictEqual(kept[0]!.completions[0]!.score, 1)
    })
  )

  it.effect("length, score and non-empty judge each answer; bounds are inclusive", () =>
    Effect.gen(function* () {
      const texts = group("p", answer(""), answer(" \n"), answer(" one"), answer("one  two"), answer("one two three"))
      assert.deepEqual(textsOf(yield* filtered(lengthBounds({ min: 1, max: 2 }), texts)), [[" one", "one  two"]])
      assert.deepEqual(textsOf(yield* filtered(lengthBounds({ min: 0, max: 1 }), texts)), [["", " \n", " one"]])
      assert.deepEqual(textsOf(yield* filtered(nonEmpty(), texts)), [[" one", "one  two", "one two three"]])
      const scores = group("p", answer("a", -1), answer("b", 0), answer("c", 1), answer("d", 2))
      assert.deepEqual(textsOf(yield* filtered(scoreBounds({ min: 0, max: 1 }), scores)), [["b", "c"]])
      assert.deepEqual(textsOf(yield* filtered(scoreBounds({ max: -1 }), scores)), [["a"]])
      assert.deepEqual(yield* filtered(scoreBounds(), scores), [scores])
    })
  )

  it.effect("min-completions and spread judge a prompt as a whole", () =>
    Effect.gen(function* () {
      const [one, two] = [group("one", answer("a")), group("two", answer("a"), answer("b"))]
      assert.deepEqual(yield* filtered(minCompletions(), one, two), [two])
      const [flat, wide] = [
        group("flat", answer("a", 1), answer("b", 1.5)),
        group("wide", answer("a", 2), answer("b", 1))
      ]
      assert.deepEqual(yield* filtered(spread({ min: 1 }), flat, wide), [wide])
      assert.deepEqual(yield* filtered(spread({ min: 0 }), flat, group("none")), [flat])
    })
  )
})

describe("filter", () => {
  it.effect("obeys its law", () => assertLaws(filter.stage.laws, { runs: 300 }))

  it.effect("drops prompts without answers left and keeps everything else as it was", () =>
    Effect.gen(function* () {
      const kept = { ...answer("b", 3), tokens: [1, 2], finish: "length" } as const
      const groups = yield* filtered(scoreBounds({ min: 1 }), group("p", answer("a")), group("q", answer("a"), kept))
      assert.deepEqual(groups, [group("q", kept)])
    })
  )

  it.effect("refuses a rule that does not decide about every answer", () =>
    Effect.gen(function* () {
      const short = FilterRule.define("short", {
        module: import.meta.url,
        description: "",
        params: {},
        make: (): FilterRule => ({ keeps: (completions) => completions.slice(1).map(() => true) })
      })()
      const error = yield* Effect.flip(filtered(short, group("p", answer("a"), answer("b"))))
      assert.instanceOf(error, FilterRuleBroken)
      assert.include((error as FilterRuleBroken).message, 'short, prompt "p": decided about 1 of 2 answers')
      yield* assertBroken(FilterRule.laws(short), "decides once about every answer")
    })
  )

  it("refuses impossible parameters", () => {
    assert.throws(() => minCompletions({ count: 0 }), /min-completions/)
    assert.throws(() => spread({ min: -1 }), /spread/)
    assert.throws(() => scoreBounds({ min: Number.NaN }), /score/)
  })
})

describe("the laws of filter rules", () => {
  it.effect("break for a rule with a memory, and idempotence for one that always drops the worst", () =>
    Effect.gen(function* () {
      let calls = 0
      const moody = FilterRule.define("moody", {
        module: import.meta.url,
        description: "",
        params: {},
        make: (): FilterRule => ({ keeps: (completions) => completions.map(() => calls++ % 3 === 0) })
      })()
      yield* assertBroken(FilterRule.laws(moody), "decides the same way again and leaves its input alone")
      const dropWorst: FilterRule = {
        keeps: (completions) => {
          const worst = Math.min(...completions.map(({ score }) => score))
          return completions.map(({ score }) => score > worst)
        }
      }
      yield* assertBroken([idempotent(dropWorst)], "keeps all of what it kept")
    })
  )
})
