/** `report`, `run --report` and `claims` with it: what becomes a page, of runs that end well and of others. */
import { appendFileSync, cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { inProcess } from "./inProcess.ts"
import { begin, end, fixture, temporaryFolder, written } from "./prefline.ts"

const folder = temporaryFolder()
const store = join(folder, "store")
const hostile = fileURLToPath(new URL("../runtime/report/fixtures/hostile.ts", import.meta.url))
const here = (...args: ReadonlyArray<string>) => inProcess([...args, "--store", store])
const pageOf = (file: string) => readFileSync(file, "utf8")
/** What a reader of the page sees, roughly. */
const textOf = (html: string) =>
  html
    .replaceAll(/<style>[\s\S]*?<\/style>|<script>[\s\S]*?<\/script>/g, "")
    .replaceAll(/<[^>]*>/g, " ")
    .replaceAll(/\s+/g, " ")

const tiny = join(folder, "tiny.html")
beforeAll(async () => {
  const ended = await here("run", "tiny", "--set", "bonus=0.75", "--report", tiny)
  assert.strictEqual(ended.code, 0, ended.stderr)
  assert.include(ended.stdout, `wrote ${tiny}`)
})

describe("report", () => {
  it("tells all of a run, and fetches nothing", () => {
    const html = pageOf(tiny)
    const text = textOf(html)
    for (const part of [
      "tiny",
      "Words, judged",
      "On Words",
      "Decoration is rewarded.",
      "succeeded",
      "+0.750 [+0.500, +1.00]",
      "a dull answer",
      "bright",
      "the gain is the bonus, whatever the seed",
      "bonus 0.75 1 number",
      "suffix ! is it",
      "by=suffix(text=!)",
      "prefline 0.1.0",
      "4 nodes"
    ])
      assert.include(text, part)
    assert.include(html, `<a href="https://arxiv.org/abs/2601.00001">`)
    // Four nodes drawn, each leading to its row; the training's curve.
    for (let i = 0; i < 4; i++) {
      assert.include(html, `href="#node-${i}"`)
      assert.include(html, `id="node-${i}"`)
    }
    assert.include(html, "Loss against step: from 2.00 at step 1 to 1.50 at step 2")
    assert.notMatch(html, /<(?:link|iframe|img|object|embed)|\bsrc=|@import|url\(/)
    assert.include(html, "default-src 'none'")
    assert.notInclude(html, store)
  })

  it("is the same page whenever it is written", async () => {
    const again = join(folder, "again.html")
    const ended = await here("report", "tiny", "--out", again)
    assert.strictEqual(ended.code, 0, ended.stderr)
    assert.match(ended.stdout, /^wrote .*again\.html, \d.* kB: run \S+ of tiny, succeeded\n$/)
    assert.strictEqual(pageOf(again), pageOf(tiny))
    assert.strictEqual((await here("report", "tiny", "--out", "-")).stdout, pageOf(tiny))
  })

  it("tells programs what the page tells of results", async () => {
    const file = join(folder, "json.html")
    const { stdout } = await here("report", "--json", "--out", file)
    const told = JSON.parse(stdout)
    assert.strictEqual(stdout.split("\n").length, 2)
    assert.deepInclude(told, { file, pipeline: "tiny", status: "succeeded", remarks: [] })
    assert.strictEqual(told.bytes, Buffer.byteLength(pageOf(file)))
    assert.strictEqual(told.evaluations.report["reward/gain"].mean, 0.75)
    assert.deepStrictEqual(told.trainings.model, [
      { step: 1, loss: 2 },
      { step: 2, loss: 1.5 }
    ])
    assert.deepStrictEqual(
      told.checks.map(({ measured }: { readonly measured: unknown }) => measured),
      [null, null]
    )
  })

  it("shows what checks came to, where they were measured at the same parameters", async () => {
    const claims = await here("claims", "tiny")
    assert.strictEqual(claims.code, 0, claims.stderr)
    await here("run", "tiny")
    const told = JSON.parse((await here("report", "tiny", "--json", "--out", join(folder, "checked.html"))).stdout)
    assert.deepStrictEqual(
      told.checks.map(({ holds, measured, name }: Readonly<Record<string, any>>) => [name, holds, measured.value]),
      [
        ["gain", true, 1],
        ["proportional", true, 2]
      ]
    )
    const text = textOf(pageOf(join(folder, "checked.html")))
    assert.include(text, "2 of 2 measured on runs in this store at the same parameters")
    assert.include(text, "twice the bonus gives twice the gain 2.00 holds")
    // At another bonus the first check was not measured; the second one sets the bonus itself.
    await here("run", "tiny", "--set", "bonus=0.75")
    const other = JSON.parse((await here("report", "--json", "--out", join(folder, "other.html"))).stdout)
    assert.deepStrictEqual(
      other.checks.map(({ holds }: { readonly holds: unknown }) => holds),
      [null, true]
    )
  })
})

describe("report of a run that does not end well", () => {
  it("says what failed, in words, with all markup as text", async () => {
    const file = join(folder, "failing.html")
    const ended = await here("run", `${hostile}#failing`, "--report", file)
    assert.strictEqual(ended.code, 1)
    assert.include(ended.stdout, `wrote ${file}`)
    const html = pageOf(file)
    assert.include(textOf(html), "What went wrong")
    assert.include(html, "could not: &lt;/script&gt;")
    assert.include(html, "safe\\u202egnp.exe\\u0000\\u0007")
    assert.notMatch(html, /<img|<svg onload/)
    for (const hidden of ["\u202e", "\u0000", "\u0007"]) assert.notInclude(html, hidden)
    assert.strictEqual(html.split("</script>").length, 2)
  })

  it("is written after an interrupt too", async () => {
    const file = join(folder, "interrupted.html")
    const slow = `${fixture("tiny.ts")}#slow`
    const child = begin(["run", slow, "--workers", "1", "--report", file], { store })
    const ended = end(child)
    await written(child, "> wait")
    child.kill("SIGINT")
    assert.strictEqual((await ended).code, 130)
    assert.include(textOf(pageOf(file)), "The run was interrupted. 2 of 3 nodes had been made by then.")
  })

  it("tells that a run has no end, and leaves out what cannot be read", async () => {
    const copy = join(temporaryFolder(), "store")
    cpSync(store, copy, { recursive: true })
    const { run } = JSON.parse((await here("report", "tiny", "--json", "--out", join(folder, "x.html"))).stdout)
    const journal = join(copy, "runs", run, "journal.jsonl")
    const lines = readFileSync(journal, "utf8")
      .split("\n")
      .filter((line) => !line.includes('"_tag":"RunFinished"'))
    writeFileSync(journal, lines.join("\n"))
    for (const two of readdirSync(join(copy, "objects")))
      for (const object of readdirSync(join(copy, "objects", two)))
        appendFileSync(join(copy, "objects", two, object), "x")
    const file = join(folder, "torn.html")
    const ended = await inProcess(["report", "tiny", "--store", copy, "--out", file])
    assert.strictEqual(ended.code, 0, ended.stderr)
    const text = textOf(pageOf(file))
    assert.include(text, "Not finished")
    assert.include(text, "What this page lacks")
    assert.include(text, "The output of judge could not be read")
  })

  it("refuses, before it runs anything, a file that cannot be written", async () => {
    const ended = await here("run", "tiny", "--set", "count=7", "--report", join(folder, "no", "such", "folder.html"))
    assert.strictEqual(ended.code, 2)
    assert.include(ended.stderr, "there is no folder")
    assert.strictEqual(ended.stdout, "")
    const out = await here("report", "--out", folder)
    assert.strictEqual(out.code, 2)
    assert.include(out.stderr, "it is a folder")
    const elsewhere = join(folder, "nothing")
    assert.strictEqual((await inProcess(["report", "--store", elsewhere])).code, 2)
    assert.isFalse(existsSync(elsewhere))
  })
})

describe("sweeps", () => {
  it("end in a table of means over seeds, on the terminal and on the page", async () => {
    const file = join(folder, "swept.html")
    const ended = await here("run", `${hostile}#swept`, "--report", file)
    assert.strictEqual(ended.code, 0, ended.stderr)
    assert.include(ended.stdout, "mean over 3 seeds [95 % interval]")
    // strength + 1, and Student's 4.3027 times 1 / sqrt 3.
    assert.match(ended.stdout, /\n {2}1 +2\.00 \[-0\.484, 4\.48\]/)
    const text = textOf(pageOf(file))
    assert.include(text, "strength reward/gain")
    assert.include(text, "0.1 1.10 [\u22121.38, 3.58]")
    assert.include(pageOf(file), "reward/gain of report against strength: 0.1: 1.10; 1: 2.00; 10: 11.0")
    assert.notMatch(pageOf(file), /<img|<svg onload/)
  })
})
