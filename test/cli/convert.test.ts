/** Files of TRL's types into one another. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { assert, describe, it } from "vitest"
import { inProcess } from "./inProcess.ts"
import { temporaryFolder } from "./prefline.ts"

const folder = temporaryFolder()
const at = (name: string) => join(folder, name)
const jsonl = (rows: ReadonlyArray<unknown>) => rows.map((row) => `${JSON.stringify(row)}\n`).join("")
const put = (name: string, rows: ReadonlyArray<unknown>) => {
  writeFileSync(at(name), jsonl(rows))
  return at(name)
}
const convert = (...args: ReadonlyArray<string>) => inProcess(["convert", ...args])
const made = async (...args: ReadonlyArray<string>) => {
  const { code, stderr, stdout } = await convert(...args, "--force")
  assert.strictEqual(code, 0, stderr)
  return stdout
}
const refused = async (status: number, said: string, ...args: ReadonlyArray<string>) => {
  const { code, stderr } = await convert(...args)
  assert.strictEqual(code, status, stderr)
  assert.include(stderr, said)
  assert.notMatch(stderr, /\n\s+at /)
}
const lines = (name: string) =>
  readFileSync(at(name), "utf8")
    .trimEnd()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))

const user = (content: string) => ({ role: "user", content })
const assistant = (content: string) => ({ role: "assistant", content })
const pairs = [
  { prompt: "The sky", chosen: " is blue 🙂", rejected: " is green", margin: 0.5 },
  { prompt: "", chosen: "a\nb", rejected: "", margin: 2 }
]

describe("convert", () => {
  it("brings JSON lines into Parquet and back, also packed", async () => {
    const from = put("pairs.jsonl", pairs)
    assert.strictEqual(
      await made(from, at("pairs.parquet")),
      `${at("pairs.parquet")}: 2 records, from 2 records of preference\n`
    )
    await made(at("pairs.parquet"), at("back.jsonl"))
    assert.deepEqual(lines("back.jsonl"), pairs)
    writeFileSync(at("packed.jsonl.gz"), gzipSync(jsonl(pairs)))
    await made(at("packed.jsonl.gz"), at("unpacked.jsonl"))
    assert.deepEqual(lines("unpacked.jsonl"), pairs)
  })

  const types: ReadonlyArray<readonly [to: string, from: ReadonlyArray<object>, expected: ReadonlyArray<object>]> = [
    [
      "preference",
      [{ chosen: "The sky is blue", rejected: "The sky is green" }],
      [{ prompt: "The sky is", chosen: " blue", rejected: " green" }]
    ],
    ["preference-implicit", [pairs[0]!], [{ chosen: "The sky is blue 🙂", rejected: "The sky is green", margin: 0.5 }]],
    [
      "unpaired-preference",
      [{ prompt: "a", chosen: "b", rejected: "c" }],
      [
        { prompt: "a", completion: "b", label: true },
        { prompt: "a", completion: "c", label: false }
      ]
    ],
    ["prompt-completion", [{ prompt: "a", completion: "b", label: false }], []],
    ["prompt-only", [{ prompt: "a", completion: "b" }], [{ prompt: "a" }]],
    ["language-modeling", [{ prompt: "a", completion: "b" }], [{ text: "ab" }]],
    [
      "language-modeling",
      [{ prompt: [user("a")], completion: [assistant("b")] }],
      [{ messages: [user("a"), assistant("b")] }]
    ],
    [
      "unpaired-preference",
      [{ prompt: "a", completions: ["b", "c"], labels: [true, false] }],
      [{ prompt: "a", completion: "bc", label: false }]
    ]
  ]
  it.each(types)("--to %s", async (to, from, expected) => {
    const stdout = await made(put("from.jsonl", from), at("to.jsonl"), "--to", to, "--json")
    assert.deepEqual<unknown>(lines("to.jsonl"), expected)
    assert.deepInclude(JSON.parse(stdout), { type: to, read: from.length, written: expected.length })
  })

  it("--template makes texts of conversations, --limit stops", async () => {
    mkdirSync(at("model"), { recursive: true })
    const chat_template =
      "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    writeFileSync(join(at("model"), "tokenizer_config.json"), JSON.stringify({ chat_template }))
    const rows = [
      { prompt: [user("a")], chosen: [assistant("b")], rejected: [assistant("c")] },
      { prompt: [user("x")], chosen: [assistant("y")], rejected: [assistant("z")] }
    ]
    await made(put("chats.jsonl", rows), at("texts.jsonl"), "--template", at("model"), "--limit", "1")
    assert.deepEqual(lines("texts.jsonl"), [{ prompt: "[user]a[assistant]", chosen: "b", rejected: "c" }])
    mkdirSync(at("bare"), { recursive: true })
    writeFileSync(join(at("bare"), "tokenizer_config.json"), "{}")
    await refused(1, "has no chat_template", at("chats.jsonl"), at("none.jsonl"), "--template", at("bare"))
  })

  it("writes an empty file of the type for no records", async () => {
    const stdout = await made(put("empty.jsonl", []), at("empty.parquet"), "--to", "preference")
    assert.include(stdout, "0 records as preference, from 0 records of no type")
    await made(at("empty.parquet"), at("still.jsonl"))
    assert.deepEqual(lines("still.jsonl"), [])
  })

  it("refuses a record that is of no type, of another than the first, or does not become the type, and names it", async () => {
    const out = at("refused.jsonl")
    await refused(
      1,
      "bad.jsonl, line 1: its columns (question) are of none",
      put("bad.jsonl", [{ question: "a" }]),
      out
    )
    await refused(1, "line 2: is prompt-only, record 1 preference", put("bad.jsonl", [pairs[0], { prompt: "a" }]), out)
    const missing = put("bad.jsonl", [{ prompt: "a" }])
    await refused(1, "prompt-only does not become preference", missing, out, "--to", "preference")
    writeFileSync(at("bad.jsonl"), '{"prompt":\n')
    await refused(1, "line 1: is no JSON", at("bad.jsonl"), out)
    writeFileSync(at("bad.parquet"), "PAR1 no PAR1")
    await refused(1, "is no intact Parquet file", at("bad.parquet"), out)
    await refused(1, "no such file", at("nowhere.jsonl"), out)
    assert.isFalse(existsSync(out))
    assert.isEmpty(readdirSync(folder).filter((name) => name.endsWith(".part")))
  })

  it("refuses to write over a file, and names that tell no form", async () => {
    const from = put("pairs.jsonl", pairs)
    writeFileSync(at("mine.jsonl"), "mine")
    await refused(2, "--force writes over it", from, at("mine.jsonl"))
    assert.strictEqual(readFileSync(at("mine.jsonl"), "utf8"), "mine")
    await refused(2, ".jsonl or .parquet", from, at("pairs.csv"))
    const { code, stderr } = await convert(from, at("x.jsonl"), "--to", "pairs")
    assert.strictEqual(code, 2, stderr)
  })
})
