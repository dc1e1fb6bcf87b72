import { createHash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema, Stream } from "effect"
import { afterAll } from "vitest"
import type * as Node from "../../../dsl/Node.ts"
import * as File from "../../../stages/load/File.ts"
import { pairs } from "../../../stages/load/pairs.ts"
import { prompts } from "../../../stages/load/prompts.ts"
import { texts } from "../../../stages/load/texts.ts"
import { collect } from "../support.ts"

const folder = mkdtempSync(join(tmpdir(), "prefline-load-"))
afterAll(() => rmSync(folder, { recursive: true }))

let written = 0
const file = (content: string | Uint8Array, name = `${written++}.jsonl`) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const jsonl = (...records: ReadonlyArray<unknown>) => `${records.map((record) => JSON.stringify(record)).join("\n")}\n`
const failure = (effect: Effect.Effect<unknown, any>) => Effect.flip(effect)
const fingerprint = (path: string) =>
  texts.stage.source!.fingerprint({ path }) as Effect.Effect<string, File.FileMissing | File.FileUnreadable>

describe("load.texts", () => {
  it.effect("reads texts in order and names those without an id by their line", () =>
    Effect.gen(function* () {
      const path = file(`{"id":"a","text":"one"}\r\n\n{"text":"Two Words","label":1}`)
      assert.deepEqual(yield* collect(texts, { params: { path } }), [
        { id: "a", text: "one" },
        { id: "line-3", text: "Two Words", label: 1 }
      ])
      const lower = yield* collect(texts, { params: { path, lowercase: true, minWords: 2 } })
      assert.deepEqual(lower, [{ id: "line-3", text: "two words", label: 1 }])
      assert.lengthOf(yield* collect(texts, { params: { path, limit: 1 } }), 1)
    })
  )

  it.effect("reads gzip, and bytes cut anywhere, as it reads plain files", () =>
    Effect.gen(function* () {
      // 200,000 characters of two bytes: several reads of the file end inside a character and inside a line
      const records = Array.from({ length: 400 }, (_, i) => ({
        id: `${i}`,
        text: `${"é".repeat(500 + (i % 7))} 🙂 ${i}`
      }))
      const plain = file(jsonl(...records))
      const packed = file(gzipSync(jsonl(...records)), "packed.jsonl.gz")
      assert.deepEqual(yield* collect(texts, { params: { path: plain } }), records)
      assert.deepEqual(yield* collect(texts, { params: { path: packed } }), records)
      assert.strictEqual(yield* fingerprint(packed), yield* fingerprint(plain))
    })
  )

  it.effect("drops a byte order mark, but only at the start of the file", () =>
    Effect.gen(function* () {
      const path = file(`\uFEFF${jsonl({ text: "a" }, { text: "\uFEFFb" })}`)
      assert.deepEqual(
        (yield* collect(texts, { params: { path } })).map(({ text }) => text),
        ["a", "\uFEFFb"]
      )
    })
  )

  const wrong: ReadonlyArray<readonly [name: string, line: string | Uint8Array, problem: RegExp]> = [
    ["no JSON", `{"text": "a"`, /is no JSON/],
    ["NaN", `{"text": "a", "label": NaN}`, /is no JSON/],
    ["a number too large for one", `{"text": "a", "label": 1e999}`, /label/],
    ["a field of the wrong type", `{"text": 3}`, /string.*text/is],
    ["a missing field", `{"id": "a"}`, /text/],
    ["an empty text", `{"text": ""}`, /text/],
    ["an unknown field", `{"text": "a", "lable": 1}`, /lable/],
    ["no object", `["text"]`, /object/i],
    ["bytes that are not UTF-8", Uint8Array.of(0x22, 0xc3, 0x28, 0x22), /is not UTF-8/]
  ]
  for (const [name, line, problem] of wrong) {
    it.effect(`refuses ${name}, and says where`, () =>
      Effect.gen(function* () {
        const path = file(Buffer.concat([Buffer.from(`{"text":"good"}\n\n`), Buffer.from(line), Buffer.from(`\n{}`)]))
        const error = yield* failure(collect(texts, { params: { path } }))
        assert.instanceOf(error, File.RecordInvalid)
        assert.strictEqual(error.line, 3)
        assert.strictEqual(error.file, path)
        assert.match(error.message, problem)
        assert.include(error.message, `${path}, line 3: `)
      })
    )
  }

  it.effect("hands out the records before a bad one", () =>
    Effect.gen(function* () {
      const path = file(`${jsonl({ text: "good" })}bad`)
      assert.lengthOf(yield* collect(texts, { params: { path, limit: 1 } }), 1)
    })
  )
})

describe("a file", () => {
  it.effect("that is missing is named, with where it was looked for", () =>
    Effect.gen(function* () {
      for (const effect of [collect(texts, { params: { path: "no/such.jsonl" } }), fingerprint("no/such.jsonl.gz")]) {
        const error = yield* failure(effect)
        assert.instanceOf(error, File.FileMissing)
        assert.include(error.message, join(process.cwd(), "no/such.jsonl"))
      }
    })
  )

  it.effect("that is a directory, or damaged gzip, is refused; a retry would not help", () =>
    Effect.gen(function* () {
      const whole = gzipSync(jsonl({ text: "a".repeat(1000) }))
      const cases = [
        [folder, /is a directory/],
        [file(whole.subarray(0, whole.length - 9), "cut.gz"), /no intact gzip/],
        [file("plain", "plain.gz"), /no intact gzip/]
      ] as const
      for (const [path, problem] of cases) {
        const error = yield* failure(collect(texts, { params: { path } }))
        assert.instanceOf(error, File.FileUnreadable)
        assert.match(error.message, problem)
        assert.isFalse(error.retryable)
        assert.instanceOf(yield* failure(fingerprint(path)), File.FileUnreadable)
      }
    })
  )

  it.effect("is known by the SHA-256 of its content, wherever it lies", () =>
    Effect.gen(function* () {
      const content = jsonl({ text: "a" })
      const digest = createHash("sha256").update(content).digest("hex")
      assert.strictEqual(yield* fingerprint(file(content)), digest)
      assert.strictEqual(yield* fingerprint(file(content, "elsewhere")), digest)
      assert.notStrictEqual(yield* fingerprint(file(`${content} `)), digest)
      for (const { stage } of [texts, prompts, pairs]) assert.deepEqual(stage.source?.params, ["path"])
    })
  )

  it.effect("with a line beyond the limit is refused before the line is held", () =>
    Effect.gen(function* () {
      const path = file(`short\n${"x".repeat(300_000)}`)
      const error = yield* failure(Stream.runDrain(File.lines(path, 100_000)))
      assert.instanceOf(error, File.RecordInvalid)
      assert.include(error.message, "line 2: the line is longer than 100000 bytes")
    })
  )

  it.effect("is read anew by every run of the stream", () =>
    Effect.gen(function* () {
      const lines = File.lines(file("a\nb"))
      const twice = [yield* Stream.runCollect(lines), yield* Stream.runCollect(lines)]
      assert.deepEqual(twice[0], [
        { number: 1, text: "a" },
        { number: 2, text: "b" }
      ])
      assert.deepEqual(twice[1], twice[0])
    })
  )
})

describe("load.prompts", () => {
  it.effect("reads prompts, empty ones too", () =>
    Effect.gen(function* () {
      const path = file(jsonl({ text: "", id: "start" }, { text: "b" }, { text: "c" }))
      assert.deepEqual(yield* collect(prompts, { params: { path, limit: 2 } }), [
        { id: "start", text: "" },
        { id: "line-2", text: "b" }
      ])
    })
  )
})

describe("load.pairs", () => {
  const pair = {
    id: "p/0-1",
    prompt: { id: "p", text: "say" },
    chosen: { text: " yes", tokens: [4, 5], finish: "stop" },
    rejected: { text: " no", finish: "length" },
    margin: 0.5
  }

  it.effect("reads its own records back as they are", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* collect(pairs, { params: { path: file(jsonl(pair)) } }), [pair])
    })
  )

  it.effect("reads TRL's records, margin and further columns or not", () =>
    Effect.gen(function* () {
      const path = file(
        jsonl(
          { prompt: "a", chosen: "b", rejected: "c", score_chosen: 8 },
          { prompt: "d", chosen: "e", rejected: "f", margin: 2 }
        )
      )
      assert.deepEqual(yield* collect(pairs, { params: { path, format: "trl" } }), [
        {
          id: "line-1",
          prompt: { id: "line-1", text: "a" },
          chosen: { text: "b", finish: "stop" },
          rejected: { text: "c", finish: "stop" },
          margin: 0
        },
        {
          id: "line-2",
          prompt: { id: "line-2", text: "d" },
          chosen: { text: "e", finish: "stop" },
          rejected: { text: "f", finish: "stop" },
          margin: 2
        }
      ])
    })
  )

  it.effect("refuses negative margins, conversations and the wrong format, by line and field", () =>
    Effect.gen(function* () {
      const conversation = [{ role: "user", content: "hi" }]
      const cases = [
        ["prefline", { ...pair, margin: -1 }, /margin/],
        ["prefline", { ...pair, chosen: { ...pair.chosen, tokens: [1.5] } }, /tokens/],
        ["prefline", { prompt: "a", chosen: "b", rejected: "c" }, /prompt/],
        ["trl", { prompt: conversation, chosen: conversation, rejected: conversation }, /prompt/],
        ["trl", { prompt: "a", chosen: "b" }, /rejected/]
      ] as const
      for (const [format, record, problem] of cases) {
        const error = yield* failure(collect(pairs, { params: { path: file(jsonl(record)), format } }))
        assert.instanceOf(error, File.RecordInvalid)
        assert.strictEqual(error.line, 1)
        assert.match(error.message, problem)
      }
    })
  )

  it("is a node whose parameters hold the path, and which fails as files do", () => {
    const node = pairs({ path: "a.jsonl" })
    assert.deepEqual(node.encodedParams, { path: "a.jsonl", format: "prefline" })
    const failing: Node.Error<typeof node> = new File.FileMissing({ file: "a.jsonl" })
    assert.isTrue(Schema.is(File.FileMissing)(failing))
    assert.isTrue(Result.isFailure(Result.try(() => pairs({ path: "" }))))
  })
})
