import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { type Completion, type CompletionGroup, Completions } from "../../../dsl/artifacts.ts"
import * as Component from "../../../dsl/Component.ts"
import type * as Node from "../../../dsl/Node.ts"
import * as Stage from "../../../dsl/Stage.ts"
import { afinn } from "../../../stages/score/afinn.ts"
import { length } from "../../../stages/score/length.ts"
import { type Answer, each, Reward, RewardFailed } from "../../../stages/score/Reward.ts"
import { repetition } from "../../../stages/score/repetition.ts"
import { score } from "../../../stages/score/score.ts"
import { ScoreInvalid } from "../../../stages/score/scoreAll.ts"
import { vader } from "../../../stages/score/vader.ts"
import { assertBroken, assertLaws, collect } from "../support.ts"

type AnyReward = ReturnType<typeof afinn>
const one = (reward: AnyReward, completion: string, prompt = "") =>
  Effect.map(reward.implementation.score([{ prompt, completion }]), ([score]) => score!)
const golden = (reward: AnyReward, cases: ReadonlyArray<readonly [text: string, score: number]>) =>
  Effect.forEach(cases, ([text, expected]) =>
    Effect.map(one(reward, text), (score) => assert.closeTo(score, expected, 1e-12, JSON.stringify(text)))
  )

describe("rewards", () => {
  for (const reward of [
    afinn(),
    afinn({ measure: "sum", scope: "completion" }),
    vader(),
    length({ target: 3 }),
    length({ target: 10, unit: "characters", scope: "whole" }),
    repetition(),
    repetition({ n: 1, scope: "whole" })
  ]) {
    it.effect(`${reward.name} ${JSON.stringify(reward.params)} obeys the laws of rewards`, () =>
      assertLaws([...Reward.laws(reward), ...reward.definition.laws])
    )
    it.effect(`${reward.name} ${JSON.stringify(reward.params)} comes back from JSON`, () =>
      Effect.gen(function* () {
        const back = (yield* reward.definition.decode(reward.params)) as AnyReward
        assert.deepEqual(back.params, reward.params)
        const answer = [{ prompt: "the food was", completion: " not good good good" }]
        assert.deepEqual(yield* back.implementation.score(answer), yield* reward.implementation.score(answer))
      })
    )
  }

  // AFINN: good 3, bad -3, great 3, awful -3; "not" turns the word behind it
  it.effect("afinn sums listed words, or divides by all of them", () =>
    Effect.gen(function* () {
      yield* golden(afinn({ measure: "sum" }), [
        ["", 0],
        ["a good, great day", 6],
        ["not good", -3],
        ["it was not bad", 3],
        ["GOOD!", 3]
      ])
      yield* golden(afinn(), [
        ["", 0],
        ["a good, great day", 6 / 4],
        ["not good", -3 / 2],
        ["great great great", 3]
      ])
    })
  )

  // VADER's good is 1.9: 1.9 / sqrt(1.9^2 + 15); after "not" times -0.74; the package rounds to 4 digits
  it.effect("vader normalizes valences into [-1, 1]", () =>
    golden(vader(), [
      ["", 0],
      ["the table", 0],
      ["it is good", Math.round((1.9 / Math.sqrt(1.9 ** 2 + 15)) * 1e4) / 1e4],
      ["it is not good", Math.round(((-0.74 * 1.9) / Math.sqrt((0.74 * 1.9) ** 2 + 15)) * 1e4) / 1e4]
    ])
  )

  it.effect("length falls with the distance from the target", () =>
    Effect.gen(function* () {
      yield* golden(length({ target: 4 }), [
        ["one two three four", 0],
        ["  one \n two ", -0.5],
        ["", -1],
        ["a b c d e f g h i j k l", -2]
      ])
      yield* golden(length({ target: 4, unit: "characters" }), [
        ["1234", 0],
        ["🙂🙂🙂🙂", 0],
        ["12", -0.5]
      ])
    })
  )

  it.effect("repetition is the share of n-grams that came before", () =>
    Effect.gen(function* () {
      yield* golden(repetition(), [
        ["", 0],
        ["one", 0],
        ["one two three", 0],
        ["a b A b", -1 / 3],
        ["no no no no no", -3 / 4]
      ])
      yield* golden(repetition({ n: 1 }), [["a b a b", -1 / 2]])
    })
  )

  it.effect("read the completion alone or the prompt with it, as their scope says", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* one(afinn({ measure: "sum" }), " good", "not"), -3)
      assert.strictEqual(yield* one(afinn({ measure: "sum", scope: "completion" }), " good", "not"), 3)
      assert.isBelow(yield* one(vader(), " good", "not"), 0)
      assert.isAbove(yield* one(vader({ scope: "completion" }), " good", "not"), 0)
      assert.strictEqual(yield* one(length({ target: 2 }), " good", "not"), -0.5)
      assert.strictEqual(yield* one(length({ target: 2, scope: "whole" }), " good", "not"), 0)
    })
  )
})

describe("the laws of rewards", () => {
  const define = (name: string, implementation: Reward) =>
    Reward.define(name, { module: import.meta.url, description: "", params: {}, make: () => implementation })()
  const words = ({ completion }: Answer) => completion.split(" ").length

  it.effect("break for a reward that is not finite, depends on its batch, or forgets an answer", () =>
    Effect.gen(function* () {
      const inverse = define(
        "inverse",
        each(({ completion }) => 1 / completion.length)
      )
      yield* assertBroken(Reward.laws(inverse), "scores every answer with a finite number")
      const centred = define("centred", {
        score: (answers) => {
          const mean = answers.reduce((sum, answer) => sum + words(answer), 0) / Math.max(1, answers.length)
          return Effect.succeed(answers.map((answer) => words(answer) - mean))
        }
      })
      yield* assertBroken(Reward.laws(centred), "scores a batch as it scores its answers one by one")
      const short = define("short", { score: (answers) => Effect.succeed(answers.slice(1).map(words)) })
      yield* assertBroken(Reward.laws(short), "scores every answer with a finite number")
      let calls = 0
      const moody = define(
        "moody",
        each(() => calls++)
      )
      yield* assertBroken(Reward.laws(moody), "scores the same answers the same way again")
    })
  )
})

describe("score", () => {
  const completion = (text: string): Completion => ({ text, tokens: [text.length], finish: "stop" })
  const groups: ReadonlyArray<CompletionGroup> = [
    { prompt: { id: "p", text: "it is" }, completions: [completion(" good"), completion(" not good"), completion("")] },
    { prompt: { id: "empty", text: "" }, completions: [] },
    { prompt: { id: "q", text: "so" }, completions: [completion(" bad")] }
  ]
  const define = (name: string, implementation: Reward) =>
    Reward.define(name, { module: import.meta.url, description: "", params: {}, make: () => implementation })

  it.effect("adds a score to every answer and changes nothing else", () =>
    Effect.gen(function* () {
      const scored = yield* collect(score, {
        params: { reward: { name: "afinn", params: { measure: "sum" } } },
        input: groups
      })
      const scores = [[3, -3, 0], [], [-3]]
      assert.deepEqual(
        scored,
        groups.map(({ completions, prompt }, g) => ({
          prompt,
          completions: completions.map((answer, i) => ({ ...answer, score: scores[g]![i]! }))
        }))
      )
    })
  )

  it.effect("gives answers to the reward in batches, whole prompts together, in order", () =>
    Effect.gen(function* () {
      const batches: Array<ReadonlyArray<Answer>> = []
      const spy = define("spy", {
        score: (answers) => {
          batches.push(answers)
          return Effect.succeed(answers.map(({ completion }) => Number(completion)))
        }
      })()
      const many = Array.from({ length: 100 }, (_, i) => ({
        prompt: { id: `${i}`, text: `p${i}` },
        completions: [completion(`${2 * i}`), completion(`${2 * i + 1}`)]
      }))
      const scored = yield* collect(score, { params: { reward: { name: spy.name } }, input: many })
      assert.deepEqual(
        scored.flatMap(({ completions }) => completions.map(({ score }: { score: number }) => score)),
        Array.from({ length: 200 }, (_, i) => i)
      )
      assert.isAbove(batches.length, 1)
      assert.isBelow(batches.length, 10)
      assert.deepEqual(batches[0]![3], { prompt: "p1", completion: "3" })
    })
  )

  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    it.effect(`refuses a score of ${bad}, and names reward, prompt and answer`, () =>
      Effect.gen(function* () {
        const name = `odd-${bad}`
        define(
          name,
          each(({ completion }) => (completion === " not good" ? bad : 0))
        )
        const error = yield* Effect.flip(collect(score, { params: { reward: name }, input: groups }))
        assert.instanceOf(error, ScoreInvalid)
        assert.deepInclude(error, { reward: name, prompt: "p", completion: 1, score: String(bad) })
        assert.include(error.message, `the reward ${name} scored answer 1 of prompt "p" with ${bad}`)
      })
    )
  }

  it.effect("refuses a reward that forgets answers, and passes on what a reward fails with", () =>
    Effect.gen(function* () {
      define("forgetful", { score: () => Effect.succeed([1]) })
      const forgot = yield* Effect.flip(collect(score, { params: { reward: "forgetful" }, input: groups }))
      assert.instanceOf(forgot, RewardFailed)
      assert.include(forgot.message, "gave 1 scores for 4 answers")
      const busy = new RewardFailed({ reward: "remote", problem: "is busy", retryable: true })
      define("remote", { score: () => Effect.fail(busy) })
      assert.strictEqual(yield* Effect.flip(collect(score, { params: { reward: "remote" }, input: groups })), busy)
      const unknown = yield* Effect.flip(collect(score, { params: { reward: "afin" }, input: groups }))
      assert.include(unknown.message, 'reward "afin": is not known; known: afinn')
    })
  )

  it("has a type that tells what can fail", () => {
    const completions = Stage.make({
      name: "no-completions",
      description: "",
      module: import.meta.url,
      params: {},
      output: Completions,
      run: () => Stream.empty
    })()
    const node = completions.pipe(score({ reward: afinn() }))
    expectTypeOf<Extract<Node.Error<typeof node>, RewardFailed | ScoreInvalid>>().toEqualTypeOf<
      RewardFailed | ScoreInvalid
    >()
    expectTypeOf<Node.Services<typeof node>>().toEqualTypeOf<never>()
    assert.deepEqual(node.encodedParams, {
      reward: { name: "afinn", params: { measure: "comparative", scope: "whole" } }
    })
    assert.isTrue(Component.isComponent(node.components[0]))
  })
})
