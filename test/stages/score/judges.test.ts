import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { CompletionGroup, ScoredGroup } from "../../../dsl/artifacts.ts"
import { afinn } from "../../../stages/score/afinn.ts"
import { byReward } from "../../../stages/score/byReward.ts"
import { Judge } from "../../../stages/score/Judge.ts"
import { length } from "../../../stages/score/length.ts"
import { majority } from "../../../stages/score/majority.ts"
import { Reward, RewardFailed } from "../../../stages/score/Reward.ts"
import { repetition } from "../../../stages/score/repetition.ts"
import { weighted } from "../../../stages/score/weighted.ts"
import { JudgementInvalid, winRates } from "../../../stages/score/winRates.ts"
import { wordCount } from "../../../stages/score/wordCount.ts"
import { assertBroken, assertLaws, collect } from "../support.ts"

const answers = ["good", "good good food", "", "the food was bad"].map((completion) => ({ prompt: "x ", completion }))
const broken = Reward.define("not-a-number", {
  module: import.meta.url,
  description: "",
  params: {},
  make: () => ({ score: (given) => Effect.succeed(given.map(() => Number.NaN)) })
})()

describe("weighted rewards", () => {
  const biased = weighted({
    rewards: [
      { reward: afinn(), weight: 1 },
      { reward: wordCount(), weight: 0.5 }
    ]
  })

  it.effect("obey the laws of rewards and their own", () =>
    assertLaws([...Reward.laws(biased), ...biased.definition.laws, ...wordCount().definition.laws], { runs: 200 })
  )

  it.effect("add up, a weight a reward", () =>
    Effect.gen(function* () {
      const sentiment = yield* afinn().implementation.score(answers)
      const words = yield* wordCount().implementation.score(answers)
      assert.deepEqual(words, [1, 3, 0, 4])
      assert.deepEqual(
        yield* biased.implementation.score(answers),
        sentiment.map((score, i) => score + 0.5 * words[i]!)
      )
      assert.deepEqual(yield* biased.implementation.score([]), [])
    })
  )

  it.effect("fail with a reward that fails", () =>
    Effect.gen(function* () {
      const sum = weighted({ rewards: [{ reward: broken, weight: 1 }] })
      const error = yield* Effect.flip(sum.implementation.score(answers))
      assert.instanceOf(error, RewardFailed)
      assert.include(error.message, "not-a-number scored answer 0 with NaN")
    })
  )

  it("need one reward or more", () => assert.throws(() => weighted({ rewards: [] as never }), /weighted/))
})

const criteria = [afinn({ measure: "sum", scope: "completion" }), length({ target: 5 }), repetition({ n: 1 })] as const
const duel = (first: string, second: string) => ({ prompt: "", first, second })

describe("judges", () => {
  for (const judge of [
    byReward({ reward: afinn() }),
    byReward({ reward: wordCount(), scale: 40 }),
    majority({ rewards: [...criteria] }),
    majority({ rewards: [afinn()], confidence: 0.75 })
  ]) {
    it.effect(`${judge.name} ${JSON.stringify(judge.params)} obeys the laws of judges`, () =>
      assertLaws([...Judge.laws(judge), ...judge.definition.laws], { runs: 200 })
    )
  }

  it.effect("by-reward is the logistic of the difference", () =>
    Effect.gen(function* () {
      const [p, far] = yield* byReward({ reward: wordCount(), scale: 0.5 }).implementation.prefers([
        duel("a b c", "a"),
        duel("a ".repeat(4000), "")
      ])
      assert.closeTo(p!, 1 / (1 + Math.exp(-1)), 1e-15)
      assert.strictEqual(far, 1)
    })
  )

  it.effect("a majority of sentiment, length and repetition goes round in a circle", () =>
    Effect.gen(function* () {
      // votes: sentiment orders a > b > c, nearness to five words b > c > a, freedom from repetition c > a > b
      const [a, b, c] = [
        "great great the food was here today and here",
        "good food food food food",
        "the food was not here today"
      ]
      const { prefers } = majority({ rewards: [...criteria], confidence: 0.9 }).implementation
      const scores = yield* Effect.forEach(criteria, ({ implementation }) =>
        implementation.score([a, b, c].map((completion) => ({ prompt: "", completion: completion! })))
      )
      assert.isTrue(scores[0]![0]! > scores[0]![1]! && scores[0]![1]! > scores[0]![2]!, String(scores))
      const beats = yield* prefers([duel(a!, b!), duel(b!, c!), duel(c!, a!)])
      assert.deepEqual(beats, [0.9, 0.9, 0.9], String(scores))
    })
  )
})

describe("score.win-rates", () => {
  const group = (...texts: ReadonlyArray<string>): CompletionGroup => ({
    prompt: { id: "p", text: "" },
    completions: texts.map((text) => ({ text, finish: "stop" }))
  })
  /** A judge from a matrix over one-letter answers. */
  const table = (name: string, rows: Readonly<Record<string, Readonly<Record<string, number>>>>) =>
    Judge.define(name, {
      module: import.meta.url,
      description: "",
      params: {},
      make: () => ({
        prefers: (duels) => Effect.succeed(duels.map(({ first, second }) => rows[first]?.[second] ?? Number.NaN))
      })
    })()
  const game = table("game", {
    a: { a: 0.5, b: 0.9, c: 0.2 },
    b: { a: 0.1, b: 0.5, c: 0.7 },
    c: { a: 0.8, b: 0.3, c: 0.5 }
  })
  const rates = (judge: typeof game, ...input: ReadonlyArray<CompletionGroup>) =>
    collect<ScoredGroup, any>(winRates, { params: { judge: { name: judge.name, params: {} } }, input })

  it.effect("obeys its laws", () => assertLaws(winRates.stage.laws, { runs: 300 }))

  it.effect("averages over all answers, itself included with one half", () =>
    Effect.gen(function* () {
      // frequencies (.5, .3, .2) of a, b, c: the win rates against that policy are .56, .34, .59
      const [scored] = yield* rates(game, group(..."aaaaabbbcc"))
      const expected: Readonly<Record<string, number>> = { a: 0.56, b: 0.34, c: 0.59 }
      for (const { score, text } of scored!.completions) assert.closeTo(score, expected[text]!, 1e-12)
      const [alone, none] = yield* rates(game, group("a"), group())
      assert.deepEqual([alone!.completions[0]!.score, none!.completions], [0.5, []])
    })
  )

  it.effect("refuses what is no probability", () =>
    Effect.gen(function* () {
      const error: JudgementInvalid = yield* Effect.flip(rates(game, group("a", "unknown")))
      assert.instanceOf(error, JudgementInvalid)
      assert.include(error.message, 'the judge game, prompt "p": NaN is no probability')
    })
  )

  it.effect("the laws of judges break for a judge of places, and for one that keeps count", () =>
    Effect.gen(function* () {
      const judge = (name: string, prefers: Judge["prefers"]) =>
        Judge.define(name, { module: import.meta.url, description: "", params: {}, make: () => ({ prefers }) })()
      const sided = judge("sided", (duels) => Effect.succeed(duels.map(() => 0.6)))
      yield* assertBroken(Judge.laws(sided), "is antisymmetric: P(a > b) + P(b > a) = 1", "prefers no answer to itself")
      const crowd = judge("crowd", (duels) => Effect.succeed(duels.map((_, i) => (i === 0 ? 0.5 : 1 / (i + 2)))))
      yield* assertBroken(Judge.laws(crowd), "judges a batch as it judges its duels one by one")
      const wild = judge("wild", (duels) => Effect.succeed(duels.map(() => 2)))
      yield* assertBroken(Judge.laws(wild), "gives every duel a probability")
    })
  )
})
