/** `graph`: of pipelines before they run, and of runs. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { inProcess } from "./inProcess.ts"
import { fixture, temporaryFolder } from "./prefline.ts"

const folder = temporaryFolder()
const store = join(folder, "store")
const graph = (...args: ReadonlyArray<string>) => inProcess(["graph", ...args, "--store", store])

const json = async (...args: ReadonlyArray<string>) => {
  const ended = await graph(...args, "--format", "json")
  assert.strictEqual(ended.code, 0, ended.stderr)
  const { nodes, outputs } = JSON.parse(ended.stdout)
  const statuses = nodes.map(({ id, status }: { readonly id: string; readonly status: string }) => [id, status])
  return { nodes, outputs, statuses: Object.fromEntries(statuses) }
}

const ALL = (status: string) => ({ words: status, decorate: status, judge: status, model: status })

describe("graph", () => {
  it("shows a pipeline before anything ran, with its edges and outputs", async () => {
    const { nodes, outputs, statuses } = await json("tiny")
    assert.deepStrictEqual(statuses, ALL("waiting"))
    assert.deepStrictEqual(outputs, { prompts: "decorate", report: "judge", policy: "model" })
    assert.deepStrictEqual(nodes.find(({ id }: { readonly id: string }) => id === "judge").inputs, {
      input: "decorate"
    })
    const drawn = (await graph("tiny")).stdout
    assert.match(drawn, /^<svg [^>]*aria-label="Graph of tiny"/)
    assert.include(drawn, "prefers-color-scheme:dark")
    for (const text of [">words<", ">decorate<", ">not run<"]) assert.include(drawn, text)
  })

  describe("after a run", () => {
    beforeAll(async () => {
      assert.strictEqual((await inProcess(["run", "tiny", "--store", store])).code, 0)
    })

    it("shows what is cached, and what --set would change", async () => {
      assert.deepStrictEqual((await json("tiny")).statuses, ALL("cached"))
      const changed = (await json("tiny", "--set", "bonus=3")).statuses
      assert.deepStrictEqual(changed, { ...ALL("cached"), judge: "waiting" })
    })

    it("shows the run with its times", async () => {
      const { nodes, statuses } = await json("--run", "tiny")
      assert.deepStrictEqual(statuses, ALL("computed"))
      assert.isTrue(nodes.every(({ ms }: { readonly ms: unknown }) => typeof ms === "number"))
      const mermaid = (await graph("--run", "tiny", "--format", "mermaid")).stdout
      assert.match(mermaid, /^flowchart TB\n {2}n0\["words(?:<br\/>\d+ ms)?"\]:::computed\n/)
      assert.include(mermaid, "n0 --> n1")
      const dot = (await graph("--run", "tiny", "--format", "dot")).stdout
      assert.match(dot, /^digraph \{/)
      assert.include(dot, "n0 -> n1")
    })

    it("writes a file, and says so", async () => {
      const file = join(folder, "tiny.svg")
      const ended = await graph("tiny", "--out", file)
      assert.match(ended.stdout, /^wrote .*tiny\.svg, .* kB: 4 nodes of tiny\n$/)
      assert.strictEqual(readFileSync(file, "utf8"), (await graph("tiny")).stdout)
    })
  })

  it("shows what failed in a run of what was there, and what for want of it did not run", async () => {
    assert.strictEqual((await inProcess(["run", `${fixture("tiny.ts")}#failing`, "--store", store])).code, 1)
    const { statuses } = await json("--run", "failing")
    assert.deepStrictEqual(statuses, { words: "cached", decorate: "cached", refuse: "failed", judge: "waiting" })
  })

  it("refuses what fits no pipeline and no run", async () => {
    for (const [args, problem] of [
      [[], "name a pipeline"],
      [["tiny", "--run", "tiny"], "name a pipeline"],
      [["--run", "tiny", "--set", "bonus=1"], "--set and --seed are for pipelines"],
      [["nothing"], "there is no pipeline"],
      [["--run", "nothing"], "has no run of a pipeline"],
      [["tiny", "--out", join(folder, "no", "folder.svg")], "there is no folder"]
    ] as const) {
      const ended = await graph(...args)
      assert.strictEqual(ended.code, 2, ended.stderr)
      assert.include(ended.stderr, problem)
      assert.strictEqual(ended.stdout, "")
    }
    const missing = join(folder, "missing")
    assert.strictEqual((await inProcess(["graph", "--run", "tiny", "--store", missing])).code, 2)
    assert.isFalse(existsSync(missing))
  })
})
