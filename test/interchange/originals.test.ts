/** Against the originals: transformers, TRL, pyarrow and tensorboard read what prefline writes, and the other way round. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { afterAll, beforeAll } from "vitest"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import { concatenate } from "../../dsl/internal/bytes.ts"
import type { JsonObject } from "../../dsl/Json.ts"
import * as Rng from "../../dsl/Rng.ts"
import { Device } from "../../runtime/device/Device.ts"
import * as ChatTemplate from "../../runtime/interchange/ChatTemplate.ts"
import { extractPrompt } from "../../runtime/interchange/convert.ts"
import * as HuggingFace from "../../runtime/interchange/huggingFace.ts"
import * as Trl from "../../runtime/interchange/Trl.ts"
import * as TensorBoard from "../../runtime/interchange/tensorBoard.ts"
import { writeRows } from "../../runtime/interchange/writeRows.ts"
import * as Batch from "../../runtime/models/Batch.ts"
import { generate } from "../../runtime/models/generate.ts"
import * as Llama from "../../runtime/models/Llama.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { checkpoint as load } from "../../stages/load/checkpoint.ts"
import { rows } from "../../stages/load/rows.ts"
import * as Tiny from "../stages/tinyPolicy.ts"
import { ask, pythonWith } from "./python.ts"
import { conversations, IMPLICIT, templates } from "./templates.ts"

const folder = mkdtempSync(join(tmpdir(), "prefline-originals-"))
afterAll(() => rmSync(folder, { recursive: true }))
const at = (name: string) => join(folder, name)

const tokenizer = Tiny.tokenizerOf([...Tiny.TEXTS, "naïve café 🙂", "日本語"])
const config = Llama.LlamaConfig.make({
  vocab_size: Number(Object.keys((tokenizer as any).model.vocab).length),
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 96,
  rope_theta: 5000,
  tie_word_embeddings: false
})
const policy: Checkpoint = {
  config: config as unknown as JsonObject,
  tokenizer,
  weights: new Map(
    [...Llama.initialize(config, Rng.make(7, "originals"))].map(([name, { data, shape }]) => [
      name,
      { shape, data: shape.length === 1 ? data : data.map((x) => 12 * x) }
    ])
  )
}

const texts = [
  "the food",
  "",
  "a very good film",
  "naïve café 🙂👩‍👩‍👧 日本語\n\ttab  spaces",
  "not good. At all !",
  "e\u0301\u2028\uFEFF"
]
const STEPS = 12

const saveFolder = (name: string, checkpoint: Checkpoint) =>
  Effect.gen(function* () {
    mkdirSync(at(name))
    for (const file of yield* HuggingFace.files(checkpoint))
      writeFileSync(join(at(name), file.name), concatenate([...file.bytes]))
  })

const loaded = (path: string) =>
  load.stage.run({ params: { path } } as never) as unknown as Effect.Effect<
    Checkpoint,
    unknown,
    NodeServices.NodeServices
  >

/** Ids, log-probabilities and greedy answers of our own. */
const own = (checkpoint: Checkpoint) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { encodePrompt, eos, model } = yield* Policy.load(checkpoint)
      const prompts = texts.map((text) => encodePrompt({ id: "p", text }))
      const batch = Batch.make(prompts.map((ids) => ({ prompt: ids.slice(0, 1), completion: ids.slice(1) })))
      const logProbs = yield* Effect.sync(() => {
        const tensor = Llama.tokenLogProbs(model, batch)
        const grid = tensor.arraySync()
        tensor.dispose()
        return grid
      })
      const requests = prompts.map((prompt, i) => ({ prompt, rng: Rng.make(i, "greedy") }))
      const made = yield* generate(model, requests, { maxTokens: STEPS, stopTokens: [eos], temperature: 0 })
      return prompts.map((ids, i) => ({
        ids,
        logProbs: logProbs[i]!.slice(0, ids.length - 1),
        greedy: [...made[i]!.tokens, ...(made[i]!.finish === "stop" ? [eos] : [])]
      }))
    })
  )

const specials = { bos_token: "<|bos|>", eos_token: "<|eos|>" }
const cases = templates.flatMap(({ template }) =>
  conversations.map(({ example, tools }) => ({ template, example, ...(tools && { tools }) }))
)

const written: ReadonlyArray<JsonObject> = [
  {
    prompt: "a\n🙂",
    chosen: [{ role: "user", content: "é" }],
    label: true,
    score: 0.5,
    n: 3,
    steps: ["x", ""]
  },
  { prompt: "", chosen: [{ role: "user", content: null }], label: false, score: -2, n: -1, steps: [] }
]

const scalars = [1, 2, 300].flatMap((step) => [
  { tag: "train/loss", step, value: 1 / step, wallTime: 1_700_000_000.25 + step },
  { tag: "train/rewards/margins", step, value: -step, wallTime: 1_700_000_000.5 }
])

const transformers = pythonWith(["torch", "transformers"], "saving and loading models")
const trl = pythonWith(["trl", "transformers"], "chat templates and the extraction of prompts")
const pyarrow = pythonWith(["pyarrow"], "Parquet")
const tensorboard = pythonWith(["tensorboard"], "event files")

/** What Python tells of every job that it has the modules for. */
let told: any = {}

beforeAll(async () => {
  const python = transformers ?? trl ?? pyarrow ?? tensorboard
  if (python === undefined) return
  const [file, tokenizerFile] = [at("ours.parquet"), at("tokenizer.json")]
  await Effect.runPromise(
    Effect.gen(function* () {
      yield* saveFolder("saved", policy)
      yield* writeRows(file, Stream.fromIterable(written), { force: false })
    }).pipe(Effect.provide(NodeServices.layer))
  )
  writeFileSync(tokenizerFile, JSON.stringify(tokenizer))
  mkdirSync(at("events"))
  writeFileSync(join(at("events"), "events.out.tfevents.1700000001.prefline"), TensorBoard.encode(scalars))
  told = ask(python, {
    ...(transformers && {
      model: { folder: at("saved"), whole: at("whole"), sharded: at("sharded"), texts, steps: STEPS }
    }),
    ...(trl && { trl: { tokenizer: tokenizerFile, specials, implicit: IMPLICIT, templates: cases } }),
    ...(pyarrow && { parquet: { file, folder, rows: written } }),
    ...(tensorboard && { tensorboard: { folder: at("events") } })
  })
}, 300_000)

const services = Layer.mergeAll(NodeServices.layer, Device.layer("wasm"))

describe.skipIf(transformers === undefined)("transformers", () => {
  it.effect(
    "loads a saved policy with the same ids, logits and greedy answers, and writes folders that load here",
    () =>
      Effect.gen(function* () {
        const { answers, generation, problems } = told.model
        assert.deepEqual(problems, { missing_keys: [], unexpected_keys: [], mismatched_keys: [] })
        assert.include(generation, { bos_token_id: 0, eos_token_id: 1 })
        const mine = yield* own(policy)
        let largest = 0
        for (const [i, { ids, logProbs }] of mine.entries()) {
          assert.deepEqual(answers[i].ids, ids, texts[i]!)
          assert.strictEqual(answers[i].text, texts[i])
          for (const [t, logProb] of logProbs.entries())
            largest = Math.max(largest, Math.abs(logProb - answers[i].logProbs[t]))
        }
        assert.isBelow(largest, 1e-4)
        for (const [i, { greedy }] of mine.entries()) assert.deepEqual(answers[i].greedy, greedy, texts[i]!)
        assert.isAbove(Math.abs(mine[0]!.logProbs[0]! - mine[2]!.logProbs[0]!), 0.01) // far from uniform
        assert.isAbove(readdirSync(at("sharded")).filter((name) => name.endsWith(".safetensors")).length, 1)
        for (const name of ["saved", "whole", "sharded"]) {
          const back = yield* loaded(at(name))
          assert.deepEqual(back.weights.size, policy.weights.size)
          for (const [tensor, { data }] of policy.weights)
            assert.deepEqual(back.weights.get(tensor)!.data, data, tensor)
          assert.deepEqual(yield* own(back), mine, name)
        }
      }).pipe(Effect.provide(services)),
    120_000
  )
})

describe.skipIf(trl === undefined)("TRL", () => {
  it.effect(
    "extracts the same prompts and applies chat templates alike",
    () =>
      Effect.gen(function* () {
        const { extracted, rendered } = told.trl
        for (const [i, row] of IMPLICIT.entries()) {
          const example = (yield* Trl.decode(row)) as Trl.Example<"preference-implicit">
          const { chosen, prompt, rejected } = extractPrompt(example)
          assert.deepEqual({ prompt, chosen, rejected }, extracted[i])
        }
        let compared = 0
        for (const [i, { example, template, tools }] of cases.entries()) {
          const chat = yield* ChatTemplate.fromConfig({ ...specials, chat_template: template })
          const decoded = yield* Trl.decode({ ...example, ...(tools && { tools }) })
          const made = yield* Effect.result(ChatTemplate.apply(chat, decoded))
          const label = `${template.slice(0, 60)}\n${JSON.stringify(example)}`
          if (made._tag === "Failure") {
            assert.property(rendered[i], "error", `${label}\n${made.failure.message}`)
            continue
          }
          compared++
          assert.deepEqual(Trl.encode(made.success), rendered[i], label)
        }
        assert.isAbove(compared, cases.length / 2)
      }),
    120_000
  )
})

describe.skipIf(pyarrow === undefined)("pyarrow", () => {
  it.effect(
    "reads our Parquet files, and we its, however they are compressed",
    () =>
      Effect.gen(function* () {
        const { read } = told.parquet
        assert.deepEqual(read, written)
        for (const codec of ["zstd", "gzip", "brotli", "snappy", "none"]) {
          const back = yield* Stream.runCollect(Stream.map(rows(at(`${codec}.parquet`)), ([row]) => row))
          assert.deepEqual<ReadonlyArray<unknown>>(back, written, codec)
        }
      }).pipe(Effect.provide(NodeServices.layer)),
    60_000
  )
})

describe.skipIf(tensorboard === undefined)("tensorboard", () => {
  it("reads our event files", () => {
    const read = told.tensorboard
    for (const tag of ["train/loss", "train/rewards/margins"]) {
      const wanted = scalars.filter((scalar) => scalar.tag === tag)
      assert.deepEqual(
        read[tag],
        wanted.map(({ step, value, wallTime }) => [step, Math.fround(value), wallTime])
      )
    }
  }, 60_000)
})
