/** What `save` writes of a run, in every form. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, beforeAll, describe, it } from "vitest"
import { read } from "../interchange/events.ts"
import savable from "./fixtures/savable.ts"
import { inProcess } from "./inProcess.ts"
import { temporaryFolder } from "./prefline.ts"

const entry = { module: new URL("fixtures/savable.ts", import.meta.url).href, pipeline: savable }
const folder = temporaryFolder()
const store = join(folder, "store")
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const save = (...args: ReadonlyArray<string>) => inProcess(["save", ...args, "--store", store], entry)
const done = async (...args: ReadonlyArray<string>) => {
  const { code, stderr, stdout } = await save(...args)
  assert.strictEqual(code, 0, stderr)
  return { stdout, stderr }
}
const refused = async (status: number, said: string, ...args: ReadonlyArray<string>) => {
  const { code, stderr, stdout } = await save(...args)
  assert.strictEqual(code, status, stderr)
  assert.include(stderr, said)
  assert.notMatch(stderr, /\n\s+at /)
  assert.strictEqual(stdout, "")
}
const lines = (path: string) =>
  readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))

beforeAll(async () => {
  const { code, stderr } = await inProcess(["run", "savable", "--store", store], entry)
  assert.strictEqual(code, 0, stderr)
}, 60_000)

describe("save --as trl", () => {
  it("writes pairs, and says how many answers were cut off", async () => {
    const out = at("pairs.jsonl")
    const { stderr, stdout } = await done("savable/pairs", "--as", "trl", "--out", out)
    assert.strictEqual(stdout, `${out}: 1 record of preference\n`)
    assert.include(stderr, "cut off at the longest: 1 answer, which TRL would train to end there")
    assert.deepEqual(lines(out), [{ prompt: "the food", chosen: " was good 🙂", rejected: " was", margin: 0.5 }])
  })
  it("writes every answer, and labels of scores by a threshold", async () => {
    await done("savable/answers", "--as", "trl", "--out", at("answers.jsonl"))
    assert.deepEqual(lines(at("answers.jsonl")), [
      { prompt: "the food", completion: " a" },
      { prompt: "the food", completion: " b" }
    ])
    const scored = ["savable/scored", "--as", "trl", "--out", at("scored.jsonl")]
    await refused(2, "--threshold", ...scored)
    assert.isFalse(existsSync(at("scored.jsonl")))
    const { stdout } = await done(...scored, "--threshold", "0.5", "--json")
    assert.deepEqual(JSON.parse(stdout), { out: at("scored.jsonl"), type: "unpaired-preference", written: 2, cut: 0 })
    assert.deepEqual(
      lines(at("scored.jsonl")).map(({ label }) => label),
      [false, true]
    )
  })
  it("writes Parquet, which converts back", async () => {
    await done("savable/pairs", "--as", "trl", "--out", at("pairs.parquet"))
    const { code } = await inProcess(["convert", at("pairs.parquet"), at("back.jsonl")])
    assert.strictEqual(code, 0)
    assert.deepEqual(lines(at("back.jsonl")), lines(at("pairs.jsonl")))
  })
})

it("save --as records writes the whole record", async () => {
  const { stdout } = await done("savable/pairs", "--as", "records", "--out", at("records.jsonl"), "--json")
  assert.deepEqual(JSON.parse(stdout), { out: at("records.jsonl"), artifact: "pairs", written: 1 })
  assert.deepEqual(lines(at("records.jsonl")), [
    {
      id: "a",
      prompt: { id: "p", text: "the food" },
      chosen: { text: " was good 🙂", finish: "stop" },
      rejected: { text: " was", finish: "length" },
      margin: 0.5
    }
  ])
})

describe("save of a checkpoint", () => {
  it("--as hf writes the folder that transformers loads", async () => {
    const { stdout } = await done("savable", "--as", "hf", "--out", at("hf"), "--json")
    const files = [
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
      "trainer_state.json"
    ]
    assert.deepEqual(JSON.parse(stdout), { out: at("hf"), files })
    assert.deepEqual(readdirSync(at("hf")).toSorted(), files)
    const config = JSON.parse(readFileSync(at("hf", "config.json"), "utf8"))
    assert.deepInclude(config, { architectures: ["LlamaForCausalLM"], model_type: "llama", torch_dtype: "float32" })
    await refused(2, "is there already", "savable", "--as", "hf", "--out", at("hf"))
    await done("savable", "--as", "hf", "--out", at("hf"), "--force")
  })
  it("--as gguf writes one file", async () => {
    await done("savable/policy", "--as", "gguf", "--out", at("policy.gguf"))
    assert.strictEqual(readFileSync(at("policy.gguf")).subarray(0, 4).toString(), "GGUF")
  })
})

describe("save of metrics", () => {
  it("--as csv writes a line for every number", async () => {
    const { stdout } = await done("savable", "--as", "csv", "--out", at("metrics.csv"))
    assert.strictEqual(stdout, `${at("metrics.csv")}: 4 numbers\n`)
    const expected = [
      "node,step,metric,value,low,high,count",
      "evaluate,,kl,1.5,1.25,1.75,5",
      "policy,1,loss,2,,,",
      "policy,1,rewards/margins,0.25,,,",
      "policy,2,loss,1.5,,,"
    ]
    assert.strictEqual(readFileSync(at("metrics.csv"), "utf8"), expected.map((line) => `${line}\r\n`).join(""))
  })
  it("--as tensorboard writes an event file for every node", async () => {
    const { stdout } = await done("savable", "--as", "tensorboard", "--out", at("logs"), "--json")
    assert.deepEqual(JSON.parse(stdout), { out: at("logs"), metrics: 4 })
    const scalars = (node: string) => {
      const [name, ...more] = readdirSync(at("logs", node))
      assert.isEmpty(more)
      assert.match(name!, /^events\.out\.tfevents\.\d{10}\.prefline$/)
      const [version, ...events] = read(readFileSync(at("logs", node, name!)))
      assert.strictEqual(version!.version, "brain.Event:2")
      return events
    }
    const told = (node: string) => scalars(node).map(({ step, tag, value }) => [tag, step, value])
    assert.deepEqual(told("policy"), [
      ["train/loss", 1, 2],
      ["train/rewards/margins", 1, 0.25],
      ["train/loss", 2, 1.5]
    ])
    assert.deepEqual(told("evaluate"), [
      ["eval/kl", 0, 1.5],
      ["eval/kl/low", 0, 1.25],
      ["eval/kl/high", 0, 1.75]
    ])
    const times = scalars("policy").map(({ wallTime }) => wallTime)
    assert.deepEqual(times, times.toSorted())
    assert.isBelow(Math.abs(times[0]! - Date.now() / 1000), 3600)
  })
})

describe("save refuses", () => {
  const cases: ReadonlyArray<readonly [name: string, status: number, said: string, args: ReadonlyArray<string>]> = [
    ["a run with several outputs", 2, "name one of its outputs", ["savable", "--as", "trl"]],
    ["a checkpoint as records", 2, "it takes records", ["savable/policy", "--as", "trl"]],
    ["pairs as a model", 2, "it takes checkpoint", ["savable/pairs", "--as", "hf"]],
    ["a node's metrics", 2, "name the run", ["savable/policy", "--as", "csv"]],
    ["a name that tells no form", 2, ".jsonl or .parquet", ["savable/pairs", "--as", "records"]],
    ["what is not there", 2, "nothing", ["savable/nothing", "--as", "trl"]]
  ]
  it.each(cases)("%s", async (_, status, said, args) => {
    await refused(status, said, ...args, "--out", at("refused.txt"))
    assert.isFalse(existsSync(at("refused.txt")))
  })
  it("to write over a file, unless forced; half of one is never there", async () => {
    writeFileSync(at("mine.jsonl"), "mine")
    const args = ["savable/pairs", "--as", "trl", "--out", at("mine.jsonl")]
    await refused(2, "--force writes over it", ...args)
    assert.strictEqual(readFileSync(at("mine.jsonl"), "utf8"), "mine")
    await done(...args, "--force")
    assert.lengthOf(lines(at("mine.jsonl")), 1)
    mkdirSync(at("taken.jsonl"))
    await refused(1, "could not be written", ...args.slice(0, -1), at("taken.jsonl"), "--force")
    assert.isEmpty(readdirSync(folder).filter((name) => name.endsWith(".part")))
  })
})
