import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { inProcess } from "./inProcess.ts"
import { fixture, prefline, temporaryFolder, WITH_TINY } from "./prefline.ts"
import * as Shapes from "./shapes.ts"

const store = join(temporaryFolder(), "store")
const tiny = fixture("tiny.ts")
const at = { entry: WITH_TINY, store }

const statuses = (nodes: ReadonlyArray<{ readonly id: string; readonly status: string }>) =>
  Object.fromEntries(nodes.map(({ id, status }) => [id, status]))

/** For what is not about processes: a tenth of the time. */
const here = (args: ReadonlyArray<string>) => inProcess([...args, "--store", store])

const run = async (...args: ReadonlyArray<string>) => {
  const ended = await prefline(["run", "tiny", "--json", ...args], at)
  assert.strictEqual(ended.code, 0, ended.stderr)
  return Shapes.only(Shapes.Result, ended.stdout)
}

let first: typeof Shapes.Result.Type
beforeAll(async () => {
  first = await run()
})

describe("run", () => {
  it("computes everything once, and names its outputs", () => {
    assert.strictEqual(first.pipeline, "tiny")
    assert.strictEqual(first.status, "succeeded")
    const computed = { words: "computed", decorate: "computed", judge: "computed", model: "computed" }
    assert.deepStrictEqual(statuses(first.nodes), computed)
    const digests = Object.fromEntries(first.nodes.map(({ digest, id }) => [id, digest]))
    assert.deepStrictEqual(first.outputs, {
      prompts: digests["decorate"]!,
      report: digests["judge"]!,
      policy: digests["model"]!
    })
  })

  it("serves the same run from the store, by name as by file", async () => {
    const byFile = await prefline(["run", tiny, "--json"], { store })
    const again = Shapes.only(Shapes.Result, byFile.stdout)
    assert.notStrictEqual(again.run, first.run)
    const cached = { words: "cached", decorate: "cached", judge: "cached", model: "cached" }
    assert.deepStrictEqual(statuses(again.nodes), cached)
    assert.deepStrictEqual(again.outputs, first.outputs)
    assert.include(byFile.stderr, "0 computed, 4 cached")
  })

  it("computes exactly what depends on a changed parameter, as the plan says and why", async () => {
    const planned = await prefline(["plan", "tiny", "--json", "--set", "suffix=?"], at)
    const plan = Shapes.only(Shapes.Plan, planned.stdout)
    assert.strictEqual(plan.params["suffix"], "?")
    const expected = { words: "cached", decorate: "run", judge: "waits", model: "cached" }
    assert.deepStrictEqual(statuses(plan.nodes), expected)
    const why = Object.fromEntries(plan.nodes.map(({ id, why }) => [id, why]))
    assert.deepStrictEqual(why["decorate"], ['params.by.params.text: "!" -> "?"'])
    assert.deepStrictEqual(why["judge"], ["decorate has to be made first"])
    const changed = await run("--set", "suffix=?")
    const computed = { words: "cached", decorate: "computed", judge: "cached", model: "cached" }
    assert.deepStrictEqual(statuses(changed.nodes), { ...computed, judge: "computed" })
    assert.notStrictEqual(changed.outputs["prompts"], first.outputs["prompts"])
    assert.strictEqual(changed.outputs["policy"], first.outputs["policy"])
  })

  it("takes values as JSON where they are, else as text", async () => {
    const params = async (...set: ReadonlyArray<string>) => {
      const { stdout } = await here(["plan", "tiny", "--json", ...set.flatMap((text) => ["--set", text])])
      return Shapes.only(Shapes.Plan, stdout).params
    }
    const [text, quoted] = await Promise.all([params("suffix=a=b", "bonus=1e-1"), params('suffix="7"', "seed=3")])
    assert.deepStrictEqual(text, { count: 5, suffix: "a=b", bonus: 0.1, seed: 0 })
    assert.deepStrictEqual(quoted, { count: 5, suffix: "7", bonus: 1, seed: 3 })
  })

  it("tells people what changed, in plain text", async () => {
    const { code, stdout } = await prefline(["run", "tiny", "--set", "bonus=2"], { ...at, env: { FORCE_COLOR: "1" } })
    assert.strictEqual(code, 0)
    assert.notInclude(stdout, "\u001b")
    assert.match(
      stdout,
      /^prefline \d+\.\d+\.\d+ {2}tiny {2}count=5 suffix=! bonus=2 seed=0\ndevice none needed\nstore {2}/
    )
    assert.include(stdout, "= words  cached\n")
    assert.match(stdout, /> judge\n✓ judge {2}computed \d+ ms\n/)
    assert.match(
      stdout,
      /reward +0\.500 \[0\.250, 0\.750\] +2\.50 \[2\.25, 2\.75\] +\+2\.00 \[\+1\.75, \+2\.25\] +higher/
    )
    assert.match(stdout, /before +0\.500 {2}a dull answer\n +after +2\.50 {2}a \\u001b\[31mbright/)
    const [run] = stdout.match(/\d{8}-\d{6}-[0-9a-f]{6}/) ?? []
    assert.match(stdout, new RegExp(`\nrun ${run}: 1 computed, 3 cached, .* \`npm run prefline -- show ${run}\`\n$`))
  })

  it("keeps what stages print out of the answer", async () => {
    const { code, stderr, stdout } = await prefline(["run", `${tiny}#chatty`, "--json"], { store })
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(statuses(Shapes.only(Shapes.Result, stdout).nodes), { chat: "computed" })
    for (const means of ["console.log", "console.info", "Effect.log"]) assert.include(stderr, `said with ${means}`)
  })

  it("provides the services that the pipeline's module brings", async () => {
    const { code, stdout } = await prefline(["run", fixture("greeting.ts"), "--json"], { store })
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(statuses(Shapes.only(Shapes.Result, stdout).nodes), { greet: "computed" })
  })

  it("keeps what does not depend on a failure, and ends with 1", async () => {
    const { code, stderr, stdout } = await prefline(["run", `${tiny}#failing`, "--json"], { store })
    assert.strictEqual(code, 1)
    const result = Shapes.only(Shapes.Result, stdout)
    assert.strictEqual(result.status, "failed")
    const expected = { words: "cached", decorate: "cached", refuse: "failed", judge: "skipped" }
    assert.deepStrictEqual(statuses(result.nodes), expected)
    assert.isNull(result.outputs["refused"])
    assert.isString(result.outputs["fine"])
    assert.include(stderr, "refuse (refuse) failed: refuses everything\n  its parameters: word=everything")
    assert.notMatch(stderr, /\n\s+at .*[:(]/)
  })
})

describe("replay", () => {
  /** Names every module that is loaded. */
  const watching = `
    import { registerHooks } from "node:module"
    registerHooks({ load(url, context, next) { console.error("loads", url); return next(url, context) } })`
  const node = ["--import", `data:text/javascript,${encodeURIComponent(watching)}`]

  it("serves a run from the store alone: no stage, no pipeline and no tensor library is loaded", async () => {
    const before = readdirSync(join(store, "runs")).length
    const { code, stderr, stdout } = await prefline(["replay", first.run, "--json"], { ...at, node })
    assert.strictEqual(code, 0, stderr)
    const replayed = Shapes.only(Shapes.Result, stdout)
    assert.strictEqual(replayed.run, first.run)
    assert.deepStrictEqual(replayed.outputs, first.outputs)
    const content = (nodes: typeof first.nodes) => nodes.map(({ digest, id, key }) => ({ id, key, digest }))
    assert.deepStrictEqual(content(replayed.nodes), content(first.nodes))
    assert.isTrue(replayed.nodes.every(({ status }) => status === "cached"))
    assert.strictEqual(readdirSync(join(store, "runs")).length, before)
    const loaded = stderr.match(/(?<=^loads ).*$/gm) ?? []
    const from = (folder: string) => loaded.filter((url) => url.startsWith(new URL(folder, import.meta.url).href))
    assert.include(from("../../runtime/executor/").join(), "Replay.ts")
    for (const folder of ["../../stages/", "../../pipelines/", "../../runtime/tensor/"])
      assert.deepStrictEqual(from(folder), [])
    assert.deepStrictEqual(from("./fixtures/"), [new URL("./fixtures/main.ts", import.meta.url).href])
    assert.notInclude(stderr, "tensorflow")
  })

  it("takes a pipeline's name for its newest run", async () => {
    const newest = await run()
    const { stdout } = await prefline(["replay", "tiny", "--json"], at)
    assert.strictEqual(Shapes.only(Shapes.Result, stdout).run, newest.run)
  })

  it("refuses a run that did not finish", async () => {
    const { code, stderr } = await here(["replay", "failing"])
    assert.strictEqual(code, 1)
    assert.match(stderr, /cannot be replayed \(refuse: was not finished; judge: was not finished\)/)
  })
})

describe("runs and show", () => {
  it("lists the runs, newest first", async () => {
    const { stdout } = await prefline(["runs", "--json"], at)
    const runs = Shapes.only(Shapes.Runs, stdout)
    assert.strictEqual(runs.at(-1)!.run, first.run)
    assert.deepStrictEqual(
      runs.map(({ at }) => at),
      runs
        .map(({ at }) => at)
        .toSorted()
        .toReversed()
    )
    assert.isTrue(runs.some(({ pipeline, status }) => pipeline === "failing" && status === "failed"))
  })

  it("shows a node by id or output: key parts and a preview of its artifact", async () => {
    const show = async (what: string) => {
      const { code, stderr, stdout } = await here(["show", `${first.run}/${what}`, "--json"])
      assert.strictEqual(code, 0, stderr)
      return JSON.parse(stdout)
    }
    const [words, report, model] = await Promise.all(["words", "report", "model"].map(show))
    assert.deepStrictEqual(words.parts.params, { count: 5 })
    assert.isString(words.parts.code.modules["test/cli/fixtures/stages.ts"])
    const texts = [0, 1, 2].map((i) => ({ id: `w${i}`, text: `word ${i}` }))
    assert.deepStrictEqual(words.preview, { kind: "records", first: texts })
    assert.strictEqual(report.id, "judge")
    assert.strictEqual(report.preview.evaluation.estimates["reward/gain"].mean, 1)
    assert.deepStrictEqual(model.preview, {
      kind: "checkpoint",
      config: { model_type: "llama", hidden_size: 3 },
      tensors: 2,
      parameters: 9,
      log: [
        { step: 1, loss: 2 },
        { step: 2, loss: 1.5 }
      ]
    })
  })

  it("finds an artifact by the first digits of its digest", async () => {
    const digest = first.outputs["report"]!
    const { code, stdout } = await here(["show", digest.slice(0, 12)])
    assert.strictEqual(code, 0)
    assert.include(stdout, `${first.run}/judge`)
    assert.include(stdout, `evaluation  ${digest}`)
  })

  it("shows the node of an id, even where an output that is another node has this name", async () => {
    await here(["run", `${tiny}#crossed`, "--json"])
    const { stdout } = await here(["show", "crossed/decorate", "--json"])
    assert.strictEqual(JSON.parse(stdout).id, "decorate")
  })

  it("finds an artifact although another run's journal is damaged", async () => {
    const damaged = join(temporaryFolder(), "store")
    cpSync(store, damaged, { recursive: true })
    const journal = join(damaged, "runs", "20260101-000000-abcdef", "journal.jsonl")
    cpSync(join(damaged, "runs", first.run), join(journal, ".."), { recursive: true })
    writeFileSync(journal, readFileSync(journal, "utf8").replace("\n", "\n{\n"))
    const digest = first.outputs["report"]!
    const { code, stderr } = await inProcess(["show", digest.slice(0, 12), "--store", damaged])
    assert.strictEqual(code, 0, stderr)
  })

  it("shows a run with its parameters, versions and failures", async () => {
    const { stdout } = await here(["show", "failing"])
    assert.match(stdout, /versions +prefline \d+\.\d+\.\d+, node v\d+/)
    assert.match(stdout, /refuse +refuse +failed +\d+ ms +refuses everything/)
    assert.match(stdout, /judge +judge +skipped +for want of refuse/)
  })
})

describe("list", () => {
  it("names what the catalog holds, with parameters", async () => {
    const { stdout } = await prefline(["list", "--json"], at)
    const [listed, ...others] = Shapes.only(Shapes.Listed, stdout)
    assert.lengthOf(others, 0)
    assert.deepStrictEqual(listed!.paper, { title: "On Words", arxiv: "2601.00001" })
    assert.strictEqual(listed!.family, "fixtures")
    assert.deepStrictEqual(listed!.parameters[0], { name: "count", type: "integer >= 1", required: false, default: 5 })
  })
})

describe("verify", () => {
  it("computes again, and finds the same", async () => {
    const { code, stdout } = await prefline(["verify", first.run, "--sample", "2", "--json"], at)
    assert.strictEqual(code, 0)
    const { nodes, status } = Shapes.only(Shapes.Verified, stdout)
    assert.strictEqual(status, "verified")
    assert.deepStrictEqual(
      nodes.map(({ status }) => status),
      ["identical", "identical"]
    )
  })

  it("ends with 1 where a stage does not reproduce", async () => {
    const ran = await prefline(["run", `${tiny}#moods`], { store, env: { MOOD: "merry" } })
    assert.strictEqual(ran.code, 0)
    const { code, stderr, stdout } = await prefline(["verify", "moods", "--json"], { store, env: { MOOD: "sour" } })
    assert.strictEqual(code, 1)
    const { nodes, status } = Shapes.only(Shapes.Verified, stdout)
    assert.strictEqual(status, "differs")
    assert.include(nodes[0]!.difference!, 'stored "merry", recomputed "sour"')
    assert.include(stderr, "is not reproduced: moody")
  })
})

describe("claims", () => {
  it("measures every check over its settings", async () => {
    const { code, stdout } = await prefline(["claims", "tiny", "--json"], at)
    assert.strictEqual(code, 0)
    const { checks, status } = Shapes.only(Shapes.Claims, stdout)
    assert.strictEqual(status, "passed")
    assert.deepStrictEqual(
      checks.map(({ holds, measured, name, seeds }) => ({ name, seeds, holds, measured })),
      [
        { name: "gain", seeds: 3, holds: true, measured: { value: 1, interval: [1, 1], note: null } },
        { name: "proportional", seeds: 1, holds: true, measured: { value: 2, interval: null, note: null } }
      ]
    )
    const sweep = await prefline(["verify", checks[1]!.run!, "--json"], at)
    const { nodes, status: verified } = Shapes.only(Shapes.Verified, sweep.stdout)
    assert.strictEqual(verified, "verified")
    assert.deepStrictEqual(
      nodes.map(({ id }) => id),
      ["words", "decorate", "judge", "model", "judge-2"]
    )
  })

  it("ends with 1 where a claim does not hold", async () => {
    const { code, stderr, stdout } = await prefline(["claims", `${tiny}#boastful`], { store })
    assert.strictEqual(code, 1)
    assert.match(stdout, /FAIL {2}more {2}exact, 1 seed\n +expected {2}the gain exceeds the bonus\n +measured {2}1\.00/)
    assert.include(stderr, "boastful does not hold: more")
  })

  it("takes other parameters and more seeds", async () => {
    const { stdout } = await here(["claims", "tiny", "--json", "--seeds", "4", "--set", "bonus=3"])
    const { checks } = Shapes.only(Shapes.Claims, stdout)
    assert.strictEqual(checks[0]!.seeds, 4)
    assert.deepStrictEqual(checks[0]!.measured, { value: 3, interval: [3, 3], note: null })
    assert.isFalse(checks[0]!.holds)
  })
})

describe("a damaged object", () => {
  it("cannot be replayed, is computed again, and can then be replayed", async () => {
    const damaged = join(temporaryFolder(), "store")
    cpSync(store, damaged, { recursive: true })
    const there = { ...at, store: damaged }
    const shown = await prefline(["show", `${first.run}/decorate`, "--json"], there)
    const [{ digest }] = JSON.parse(shown.stdout).output.files
    const object = join(damaged, "objects", digest.slice(0, 2), digest.slice(2))
    const bytes = readFileSync(object)
    bytes[10]! ^= 1
    if ((statSync(object).mode & 0o200) === 0)
      throw new Error("the store protects its objects now: damage it otherwise")
    writeFileSync(object, bytes)

    const replayed = await prefline(["replay", first.run], there)
    assert.strictEqual(replayed.code, 1)
    assert.match(replayed.stderr, /decorate: its artifact is damaged/)
    const again = Shapes.only(Shapes.Result, (await prefline(["run", "tiny", "--json"], there)).stdout)
    const expected = { words: "cached", decorate: "computed", judge: "cached", model: "cached" }
    assert.deepStrictEqual(statuses(again.nodes), expected)
    assert.deepStrictEqual(again.outputs, first.outputs)
    assert.strictEqual((await prefline(["replay", first.run], there)).code, 0)
  })
})
