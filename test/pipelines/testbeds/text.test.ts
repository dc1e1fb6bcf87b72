import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Prompt, Text } from "../../../dsl/artifacts.ts"
import * as Node from "../../../dsl/Node.ts"
import { corpus, judge, prompts, sentiment } from "../../../pipelines/testbeds/text.ts"
import { collect } from "../../stages/support.ts"

/** The records of a node, its inputs made first. */
const made = <A>(node: Node.Any): Effect.Effect<ReadonlyArray<A>> =>
  Effect.gen(function* () {
    const inputs: Record<string, ReadonlyArray<unknown>> = {}
    for (const [name, input] of Object.entries(node.inputs)) inputs[name] = yield* made(input)
    const { input, ...further } = inputs
    const seed = node.random?.seed ?? 0
    return yield* collect<A, never>(
      { stage: node.stage },
      { params: node.encodedParams, inputs: further, seed, ...(input === undefined ? {} : { input }) }
    )
  })
const textsOf = (items: ReadonlyArray<{ readonly text: string }>) => items.map(({ text }) => text)
const begins = (text: string, words: number) => text.split(/\s+/).slice(0, words).join(" ")

describe("the text testbed", () => {
  it.effect("has a corpus of short lower-case sentences, reviews spread evenly among them", () =>
    Effect.gen(function* () {
      const texts = yield* made<Text>(corpus())
      assert.lengthOf(texts, 25_917)
      assert.strictEqual(new Set(texts.map(({ id }) => id)).size, texts.length)
      const words = texts.map(({ text }) => text.split(" ").length)
      assert.isTrue(words.every((count) => count >= 4 && count <= 12))
      assert.isTrue(texts.every(({ text }) => text === text.toLowerCase()))
      const reviews = (part: ReadonlyArray<Text>) =>
        part.filter(({ label }) => label !== undefined).length / part.length
      assert.closeTo(reviews(texts), 0.297, 0.001)
      for (let start = 0; start + 1000 <= texts.length; start += 1000)
        assert.closeTo(reviews(texts.slice(start, start + 1000)), reviews(texts), 0.01)
    })
  )

  for (const words of [2, 3, 4]) {
    it.effect(`keeps test prompts of ${words} words out of the training prompts and reviews`, () =>
      Effect.gen(function* () {
        const train = yield* made<Prompt>(prompts({ split: "train", words }))
        const test = yield* made<Prompt>(prompts({ split: "test", words }))
        const reviews = (yield* made<Text>(corpus())).filter(({ label }) => label !== undefined)
        const seen = new Set([...textsOf(train), ...textsOf(reviews).map((text) => begins(text, words))])
        assert.isAbove(train.length, 1400)
        assert.isAbove(test.length, 280)
        assert.isEmpty(textsOf(test).filter((text) => seen.has(text)))
        const sources = new Set(reviews.map(({ id }) => id.replace(/~\d+$/, "")))
        assert.isEmpty(test.filter(({ id }) => sources.has(id)))
        for (const set of [train, test]) {
          assert.strictEqual(new Set(textsOf(set)).size, set.length)
          assert.strictEqual(new Set(set.map(({ id }) => id)).size, set.length)
          assert.isTrue(set.every(({ text }) => text.split(" ").length === words && text === text.toLowerCase()))
        }
      })
    )
  }

  it.effect("a limit keeps the first prompts of the seed's order, from all three sources", () =>
    Effect.gen(function* () {
      const at = (seed: number, limit?: number) =>
        Node.within({ seed }, () => prompts({ split: "test", ...(limit === undefined ? {} : { limit }) }))
      const [some, all, other] = [
        yield* made<Prompt>(at(1, 60)),
        yield* made<Prompt>(at(1)),
        yield* made<Prompt>(at(2, 60))
      ]
      assert.deepEqual(some, all.slice(0, 60))
      assert.notDeepEqual(some, other)
      assert.sameMembers([...new Set(some.map(({ id }) => id.split("/")[0]))], ["amazon", "imdb", "yelp"])
    })
  )

  it.effect("has a reward and a judge that agree on plain words and differ on repeated ones", () =>
    Effect.gen(function* () {
      const answers = ["was great", "was awful", "was great great great great"].map((completion) => ({
        prompt: "the food ",
        completion
      }))
      for (const reward of [sentiment, judge]) {
        const [good, bad] = yield* reward.implementation.score(answers)
        assert.isAbove(good!, 0)
        assert.isBelow(bad!, 0)
      }
      const [plain, , hacked] = yield* sentiment.implementation.score(answers)
      assert.isAbove(hacked!, 2 * plain!)
      for (const score of yield* judge.implementation.score(answers)) assert.isAtMost(Math.abs(score), 1)
    })
  )
})
