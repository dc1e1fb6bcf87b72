import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { afterAll } from "vitest"
import type { Pair, ScoredGroup } from "../../../dsl/artifacts.ts"
import type { Checkpoint } from "../../../dsl/Checkpoint.ts"
import * as Llama2cTokenizer from "../../../runtime/models/llama2cTokenizer.ts"
import * as Tokenizer from "../../../runtime/models/Tokenizer.ts"
import { dialogues } from "../../../stages/load/dialogues.ts"
import { RecordInvalid } from "../../../stages/load/File.ts"
import { llama2c } from "../../../stages/load/llama2c.ts"
import { ratings } from "../../../stages/load/ratings.ts"
import { VocabularyInvalid } from "../../../stages/load/sentencePiece.ts"
import { assertLaws, collect } from "../support.ts"
import { call } from "../tinyPolicy.ts"
import * as Tiny from "./llama2cFile.ts"

const folder = mkdtempSync(join(tmpdir(), "prefline-people-"))
afterAll(() => rmSync(folder, { recursive: true }))
let written = 0
const file = (content: string | Uint8Array) => {
  const path = join(folder, `${written++}`)
  writeFileSync(path, content)
  return path
}
const jsonl = (...records: ReadonlyArray<unknown>) =>
  file(records.map((record) => `${JSON.stringify(record)}\n`).join(""))

for (const stage of [ratings, dialogues, llama2c])
  describe(stage.stage.name, () => {
    it.effect("obeys its laws", () => assertLaws(stage.stage.laws, { runs: 200 }))
    it("has three laws or more", () => assert.isAtLeast(stage.stage.laws.length, 3))
  })

describe("load.ratings", () => {
  const task = {
    id: "positive-0",
    target: "positive",
    source: "it was bad",
    candidates: [
      { text: "it was good", grammaticality: 5, attribute: 4, topic: 3 },
      { text: "it", grammaticality: 1, attribute: 1, topic: 2 }
    ]
  }
  it.effect("sums the ratings that it is asked for", () =>
    Effect.gen(function* () {
      const path = jsonl(task, { ...task, id: "positive-1" })
      const [first] = yield* collect<ScoredGroup>(ratings, { params: { path, limit: 1 } })
      assert.deepEqual(first, {
        prompt: { id: "positive-0", text: "it was bad => positive:" },
        completions: [
          { text: " it was good", finish: "stop", score: 12 },
          { text: " it", finish: "stop", score: 4 }
        ]
      })
      const topics = yield* collect<ScoredGroup>(ratings, { params: { path, criteria: ["topic"] } })
      assert.deepEqual(
        topics.map(({ completions }) => completions.map(({ score }) => score)),
        [
          [3, 2],
          [3, 2]
        ]
      )
    })
  )
  it.effect("refuses a rating beyond 5, naming the line", () =>
    Effect.gen(function* () {
      const path = jsonl(task, { ...task, candidates: [{ ...task.candidates[0], topic: 6 }] })
      const error: RecordInvalid = yield* Effect.flip(collect<ScoredGroup, any>(ratings, { params: { path } }))
      assert.instanceOf(error, RecordInvalid)
      assert.strictEqual(error.line, 2)
      assert.include(error.message, "topic")
    })
  )
})

describe("load.dialogues", () => {
  const said = (question: string, answer: string) =>
    `\n\nHuman: hi\n\nAssistant: hello\n\nHuman: ${question}\n\nAssistant:${answer}`
  const lines = [
    { chosen: said("how?", " so"), rejected: said("how?", " no") },
    { chosen: said("why?", " so"), rejected: said("how?", " no") },
    { chosen: said("how?", " so"), rejected: said("how?", " so") },
    { chosen: "so", rejected: "no" },
    { chosen: said("who?", ""), rejected: said("who?", " me") }
  ]
  it.effect("splits off the last answers; leaves out or refuses what is no pair", () =>
    Effect.gen(function* () {
      const made = yield* collect<Pair>(dialogues, { params: { path: jsonl(...lines), unpaired: "drop" } })
      assert.deepEqual(made[0], {
        id: "line-1",
        prompt: { id: "line-1", text: "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: how?\n\nAssistant:" },
        chosen: { text: " so", finish: "stop" },
        rejected: { text: " no", finish: "stop" },
        margin: 0
      })
      assert.deepEqual(
        made.map(({ chosen, id }) => [id, chosen.text]),
        [
          ["line-1", " so"],
          ["line-5", ""]
        ]
      )
      for (const [i, problem] of [
        [1, "line 2: has two dialogues that differ before"],
        [2, "line 2: has two equal dialogues"],
        [3, "line 2: has a dialogue without"]
      ] as const) {
        const error: RecordInvalid = yield* Effect.flip(
          collect<Pair, any>(dialogues, { params: { path: jsonl(lines[0], lines[i]) } })
        )
        assert.instanceOf(error, RecordInvalid)
        assert.include(error.message, problem)
      }
    })
  )
})

describe("load.llama2c", () => {
  const params = { model: file(Tiny.model), tokenizer: file(Tiny.tokenizer) }
  it.effect("has a tokenizer that encodes as llama2.c does and decodes back", () =>
    Effect.gen(function* () {
      const made = yield* call<Checkpoint>(llama2c, { params })
      const tokenizer = yield* Tokenizer.fromJson(made.tokenizer, made.tokenizerConfig)
      const peer = yield* Llama2cTokenizer.read(Tiny.tokenizer, tokenizer.vocabSize)
      assert.deepEqual([tokenizer.bos, tokenizer.eos], [1, 1])
      for (const text of ["abc", " abc abc", "cab ab", "aabbcc", "é🙂 abc\n\tz", "a  b   c", "</s> abc"]) {
        assert.deepEqual(tokenizer.encode(text), [...peer.encode(text)], text)
        assert.strictEqual(tokenizer.decode(tokenizer.encode(text)), text)
      }
    })
  )
  it.effect("refuses a vocabulary that is not one", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        call<Checkpoint>(llama2c, { params: { ...params, tokenizer: file(Tiny.tokenizer.subarray(0, 3000)) } })
      )
      assert.instanceOf(error, VocabularyInvalid)
    })
  )
})
