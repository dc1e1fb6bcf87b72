import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Completion, Pair, ScoredGroup } from "../../../dsl/artifacts.ts"
import { degrade } from "../../../stages/pair/degrade.ts"
import { draftViews } from "../../../stages/pair/draftViews.ts"
import { flip } from "../../../stages/pair/flip.ts"
import { GroupTooSmall, group } from "../../../stages/pair/group.ts"
import { mismatch, NothingMismatched } from "../../../stages/pair/mismatch.ts"
import { NoPairs } from "../../../stages/pair/pair.ts"
import { degrees, phrases, without } from "../../../stages/pair/rake.ts"
import { stopWords } from "../../../stages/pair/stopWords.ts"
import { duels, tournament } from "../../../stages/pair/tournament.ts"
import { triple } from "../../../stages/pair/triple.ts"
import { CalibrationInvalid, withCalibration } from "../../../stages/pair/withCalibration.ts"
import { assertLaws, collect } from "../support.ts"

const answer = (text: string): Completion => ({ text, finish: "stop" })
const pairOf = (id: string, prompt: string, chosen: string, rejected: string): Pair => ({
  id,
  prompt: { id: prompt, text: `prompt ${prompt}` },
  chosen: answer(chosen),
  rejected: answer(rejected),
  margin: 0.5
})
const groupOf = (id: string, ...scores: ReadonlyArray<number>): ScoredGroup => ({
  prompt: { id, text: id },
  completions: scores.map((score, i) => ({ text: `${id}${i}`, score, finish: "stop" }))
})

for (const stage of [flip, tournament, triple, group, mismatch, draftViews, degrade, withCalibration])
  describe(stage.stage.name, () => {
    it.effect("obeys its laws", () => assertLaws(stage.stage.laws, { runs: 300, seed: 7 }))
    it("has three laws or more", () => assert.isAtLeast(stage.stage.laws.length, 3))
  })

describe("pair.flip", () => {
  it.effect("flips the asked share, tells which and keeps margins", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 4000 }, (_, i) => pairOf(`${i}`, "p", "good", "bad"))
      const noisy = yield* collect<Pair>(flip, { params: { rate: 0.2 }, input: many, seed: 3 })
      const flipped = noisy.filter(({ numbers }) => numbers!["flipped"] === 1)
      assert.closeTo(flipped.length / many.length, 0.2, 3 * Math.sqrt(0.16 / many.length))
      assert.isTrue(flipped.every(({ chosen, margin }) => chosen.text === "bad" && margin === 0.5))
      const other = yield* collect<Pair>(flip, { params: { rate: 0.2 }, input: many, seed: 4 })
      assert.notDeepEqual(noisy, other)
      // a draw belongs to a place, not to how many pairs came before it
      const few = yield* collect<Pair>(flip, { params: { rate: 0.2 }, input: many.slice(0, 50), seed: 3 })
      assert.deepEqual(few, noisy.slice(0, 50))
    })
  )
})

describe("pair.tournament", () => {
  const firstWins = () => true
  it("plays rounds, gives the odd one a bye, or leaves it out", () => {
    assert.deepEqual(duels([4, 2, 0, 1, 3], "first-round", firstWins), [
      [4, 2],
      [0, 1]
    ])
    assert.deepEqual(duels([4, 2, 0, 1, 3], "tournament", firstWins), [
      [4, 2],
      [0, 1],
      [4, 0],
      [4, 3]
    ])
    assert.deepEqual(duels([1], "tournament", firstWins), [])
    assert.deepEqual(duels([], "tournament", firstWins), [])
  })

  it.effect("labels by score or by a draw from the difference", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 3000 }, (_, i) => groupOf(`g${i}`, 0, 1))
      const argmax = yield* collect<Pair>(tournament, { input: many })
      assert.isTrue(argmax.every(({ id, margin, numbers }) => id.endsWith("/1-0") && margin === 1 && !numbers))
      const drawn = yield* collect<Pair>(tournament, { params: { labels: "bernoulli" }, input: many })
      const right = drawn.filter(({ numbers }) => numbers!["flipped"] === 0)
      assert.closeTo(right.length / many.length, 1 / (1 + Math.exp(-1)), 0.026)
      assert.isTrue(right.every(({ chosen }) => chosen.text.endsWith("1")) && drawn.every(({ margin }) => margin === 1))
    })
  )

  it.effect("shuffles evenly: of three answers each is left out of the first round a third of the time", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 3000 }, (_, i) => groupOf(`g${i}`, 0, 1, 2))
      const pairs = yield* collect<Pair>(tournament, { input: many })
      for (const best of ["1-0", "2-0", "2-1"])
        assert.closeTo(pairs.filter(({ id }) => id.endsWith(best)).length / many.length, 1 / 3, 0.03)
    })
  )

  it.effect("fails where nobody meets anybody", () =>
    Effect.gen(function* () {
      const error: NoPairs = yield* Effect.flip(collect<Pair, any>(tournament, { input: [groupOf("a", 1)] }))
      assert.instanceOf(error, NoPairs)
      assert.include(error.message, "by the rule first-round: 1 have fewer than two answers")
    })
  )
})

describe("pair.triple", () => {
  it.effect("takes gold, chosen and rejected by rank; drops the short and the tied", () =>
    Effect.gen(function* () {
      const groups = [groupOf("a", 1, 4, 3, 0), groupOf("b", 2, 1), groupOf("c", 5, 1, 1), groupOf("d", 2, 2, 1, 1)]
      const made = yield* collect<Pair>(triple, { input: groups })
      assert.deepEqual(
        made.map(({ id, margin }) => [id, margin]),
        [
          ["a/1-2-3", 3],
          ["d/0-1-3", 1]
        ]
      )
      assert.deepEqual(made[0]!.others, { gold: { completion: answer("a1") } })
      assert.deepEqual([made[0]!.chosen, made[0]!.rejected], [answer("a2"), answer("a3")])
      const error = yield* Effect.flip(collect<Pair, any>(triple, { input: [groupOf("b", 2, 1)] }))
      assert.instanceOf(error, NoPairs)
    })
  )
})

describe("pair.group", () => {
  it.effect("holds all answers and scores; two answers even where all tie", () =>
    Effect.gen(function* () {
      const [made, tied] = yield* collect<Pair>(group, {
        params: { answers: 3 },
        input: [groupOf("a", 1, 4, 3, 9), groupOf("t", 2, 2, 2)]
      })
      assert.deepEqual(made, {
        id: "a/1-0",
        prompt: { id: "a", text: "a" },
        chosen: answer("a1"),
        rejected: answer("a0"),
        margin: 3,
        others: {
          answer0: { completion: answer("a0") },
          answer1: { completion: answer("a1") },
          answer2: { completion: answer("a2") }
        },
        numbers: { score0: 1, score1: 4, score2: 3 }
      })
      assert.deepEqual([tied!.id, tied!.margin], ["t/0-2", 0])
    })
  )

  it.effect("fails for a small group, or drops it", () =>
    Effect.gen(function* () {
      const input = [groupOf("a", 1, 4), groupOf("b", 1, 4, 3)]
      const error: GroupTooSmall = yield* Effect.flip(collect<Pair, any>(group, { params: { answers: 3 }, input }))
      assert.instanceOf(error, GroupTooSmall)
      assert.include(error.message, 'prompt "a" has 2 answers of the 3')
      const kept = yield* collect<Pair>(group, { params: { answers: 3, fewer: "drop" }, input })
      assert.deepEqual(
        kept.map(({ id }) => id),
        ["b/1-0"]
      )
    })
  )
})

describe("pair.mismatch", () => {
  const input = [pairOf("a", "p", "1", "2"), pairOf("b", "q", "3", "4"), pairOf("c", "r", "5", "6")]
  it.effect("takes the next pair's chosen answer, cyclically, and refuses a single pair", () =>
    Effect.gen(function* () {
      const made = yield* collect<Pair>(mismatch, { input })
      assert.deepEqual(
        made.map(({ others }) => others!["mismatched"]),
        [{ completion: answer("3") }, { completion: answer("5") }, { completion: answer("1") }]
      )
      assert.deepEqual(yield* collect<Pair>(mismatch, { input: [] }), [])
      const error = yield* Effect.flip(collect<Pair, any>(mismatch, { input: input.slice(0, 1) }))
      assert.instanceOf(error, NothingMismatched)
    })
  )
})

describe("pair.draft-views", () => {
  it.effect("gives both answers under either draft, each under a prompt of its own", () =>
    Effect.gen(function* () {
      const own = pairOf("a", "p", " good", " bad")
      const withTokens = { ...own, chosen: { ...own.chosen, tokens: [7, 8] } }
      const [made] = yield* collect<Pair>(draftViews, { input: [withTokens] })
      assert.deepEqual(made!.others, {
        wl: { prompt: { id: 'p/draft:" bad"', text: "prompt p <draft> bad <better> " }, completion: withTokens.chosen },
        ll: { prompt: { id: 'p/draft:" bad"', text: "prompt p <draft> bad <better> " }, completion: own.rejected },
        ww: { prompt: { id: "p/draft:7.8", text: "prompt p <draft> good <better> " }, completion: withTokens.chosen },
        lw: { prompt: { id: "p/draft:7.8", text: "prompt p <draft> good <better> " }, completion: own.rejected }
      })
    })
  )
})

describe("RAKE", () => {
  const TEXT = "the movie was really great and the acting superb"
  const STOPS = new Set(["the", "was", "and"])

  it("scores phrases by the degrees of their words", () => {
    assert.deepEqual(
      phrases(TEXT, STOPS).map(({ score, text }) => [text, score]),
      [
        ["really great", 4],
        ["acting superb", 4],
        ["movie", 1]
      ]
    )
    // movie: freq 3, degree 2 + 1 + 1; night: 2 / 1. A phrase that stands twice counts twice.
    const twice = phrases("Movie night, the movie; a MOVIE", new Set(["the", "a"]))
    assert.deepEqual(
      twice.map(({ at, text }) => [text, at.length]),
      [
        ["movie night", 1],
        ["movie", 2]
      ]
    )
    assert.closeTo(twice[0]!.score, 4 / 3 + 2, 1e-12)
    assert.closeTo(twice[1]!.score, 4 / 3, 1e-12)
  })

  it("degrades step by step, whole runs only", () => {
    assert.deepEqual(degrees(TEXT, 3, STOPS), [
      "the movie was and the acting superb",
      "the movie was and the",
      "the was and the"
    ])
    assert.deepEqual(degrees(TEXT, 2, STOPS), ["the movie was and the", "the was and the"])
    assert.deepEqual(degrees("great food", 3), [""])
    assert.deepEqual(degrees(" not at all", 3), [])
    const text = "movie night, the movie"
    const [, movie] = phrases(text)
    assert.strictEqual(without(text, [movie!]), "movie night, the")
    assert.strictEqual(without(" movie, the end", phrases("  movie").slice(0, 0)), " movie, the end")
  })

  it("reads case, apostrophes and hyphens, and about 200 stop words", () => {
    assert.deepEqual(
      phrases("It's well-made; the Chef’s best DISH!").map(({ text }) => text),
      ["chef's best dish", "well-made"]
    )
    assert.isTrue(stopWords.size > 140 && stopWords.size < 300)
    assert.isTrue([...stopWords].every((word) => word === word.toLowerCase()))
  })

  it("does not see case or the spaces around punctuation", () => {
    const shape = (text: string) => phrases(text).map(({ score, text }) => [text, score])
    assert.deepEqual(shape("Great Food , bad service ."), shape("great food,bad service."))
    assert.deepEqual(shape("the great food and bad service was"), shape("great food and bad service"))
  })
})

describe("pair.degrade", () => {
  it.effect("names variants by side and degree and counts them", () =>
    Effect.gen(function* () {
      const [made] = yield* collect<Pair>(degrade, {
        input: [{ ...pairOf("a", "p", " great food but bad service", " so so"), margin: 1 }]
      })
      const { degradedChosen, degradedRejected, ...others } = made!.others!
      const { degreeChosen, ...numbers } = made!.numbers!
      assert.deepEqual(numbers, { chosenLevels: 2, rejectedLevels: 0, degreeRejected: 0 })
      assert.deepEqual(degradedRejected, { completion: answer(" so so") })
      assert.deepEqual(
        degradedChosen!.completion,
        [made!.chosen, others["chosen1"]!.completion, others["chosen2"]!.completion][degreeChosen!]
      )
      assert.deepEqual(others, {
        chosen1: { completion: answer(" but bad service") },
        chosen2: { completion: answer(" but") }
      })
    })
  )
})

describe("the degrees that pair.degrade draws", () => {
  it.effect("are balanced", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 3000 }, (_, i) => pairOf(`${i}`, "p", "great food but bad service", "awful"))
      const drawn = yield* collect<Pair>(degrade, { input: many })
      const share = (name: string, degree: number) =>
        drawn.filter(({ numbers }) => numbers![name] === degree).length / drawn.length
      for (const degree of [0, 1, 2]) assert.closeTo(share("degreeChosen", degree), 1 / 3, 0.03)
      for (const degree of [0, 1]) assert.closeTo(share("degreeRejected", degree), 1 / 2, 0.03)
    })
  )
})

describe("pair.with-calibration", () => {
  it.effect("joins by prompt; refuses a missing and a doubled one", () =>
    Effect.gen(function* () {
      const input = [pairOf("a", "p", "1", "2"), pairOf("b", "q", "3", "4"), pairOf("c", "p", "5", "6")]
      const drawn = ["q", "p"].map((id) => ({ prompt: { id, text: id }, completions: [answer(`of ${id}`)] }))
      const made = yield* collect<Pair>(withCalibration, { input, inputs: { calibration: drawn } })
      assert.deepEqual(
        made.map(({ others }) => others!["calibration"]!.completion.text),
        ["of p", "of q", "of p"]
      )
      for (const calibration of [
        drawn.slice(1),
        [...drawn, drawn[0]],
        drawn.map((own) => ({ ...own, completions: [] }))
      ]) {
        const error = yield* Effect.flip(collect<Pair, any>(withCalibration, { input, inputs: { calibration } }))
        assert.instanceOf(error, CalibrationInvalid)
      }
    })
  )
})
