import { join } from "node:path"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { inProcess } from "./inProcess.ts"
import { fixture, temporaryFolder } from "./prefline.ts"

const store = join(temporaryFolder(), "store")
const here = (...args: ReadonlyArray<string>) => inProcess([...args, "--store", store])

beforeAll(async () => {
  for (const set of ["bonus=1", "bonus=2", "suffix=?"])
    assert.strictEqual((await here("run", "tiny", "--set", set)).code, 0)
}, 60_000)

describe("diff", () => {
  it("tells parameters, where runs part, and metrics with their change", async () => {
    const { code, stdout } = await here("diff", "tiny~2", "tiny~1")
    assert.strictEqual(code, 0)
    assert.match(stdout, /bonus +1 +-> +2\n/)
    assert.match(stdout, /judge +judge +other content +params\.bonus: 1 -> 2\n/)
    assert.match(
      stdout,
      /reward\/gain +1\.00 \[0\.750, 1\.25\] +2\.00 \[1\.75, 2\.25\] +\+1\.00 \[\+0\.646, \+1\.35\] +higher/
    )
    assert.match(stdout, /4 nodes in both: 3 same, 1 other content\nWhere evaluations keep no values by prompt/)
  })

  it("concludes nothing from values without an interval", async () => {
    const elsewhere = join(temporaryFolder(), "store")
    const there = (...args: ReadonlyArray<string>) => inProcess([...args, "--store", elsewhere])
    for (const set of ["entropy=1", "entropy=2"])
      assert.strictEqual((await there("run", fixture("points.ts"), "--set", set)).code, 0)
    const { stdout } = await there("diff", "points~1", "points")
    assert.match(stdout, /entropy +1\.00 +2\.00 +\+1\.00 +no interval\n/)
    assert.match(stdout, /kl +7\.00 +7\.00 +0 +equal\n/)
  })

  it("is data on demand", async () => {
    const { stdout } = await here("diff", "tiny~2", "tiny", "--json")
    const { a, parting, params } = JSON.parse(stdout)
    assert.deepStrictEqual([a.pipeline, parting, params], ["tiny", ["decorate"], [{ at: "suffix", a: "!", b: "?" }]])
  })

  it("knows what it does not know", async () => {
    const far = await here("diff", "tiny~9", "tiny")
    assert.strictEqual(far.code, 2)
    assert.include(far.stderr, "there is no run tiny~9: the store has 3, the oldest is ~2")
    const bad = await here("diff", "../x", "tiny")
    assert.strictEqual(bad.code, 2)
    assert.include(bad.stderr, "is no run id")
    const missing = await inProcess(["diff", "a", "b", "--store", fixture("nothing")])
    assert.strictEqual(missing.code, 2)
    assert.include(missing.stderr, "there is no store in")
  })
})

describe("why", () => {
  it("goes back to the parameter that changed", async () => {
    const { code, stdout } = await here("why", "report")
    assert.strictEqual(code, 0)
    assert.match(stdout, /^judge \(judge\) was computed in run /)
    assert.match(stdout, /input input: other content\n {2}because decorate \(decorate\) came out otherwise:\n/)
    assert.include(stdout, 'params.by.params.text: "!" -> "?"')
  })

  it("names the run that made what was served", async () => {
    const { stdout } = await here("why", "words", "--json")
    const { madeBy, status } = JSON.parse(stdout)
    assert.strictEqual(status, "cached")
    const runs = JSON.parse((await here("runs", "--json")).stdout)
    assert.strictEqual(madeBy.run, runs[2].run)
    assert.include((await here("why", "tiny~2/words")).stdout, "its stage was never computed before")
  })

  it("refuses a node that is not there", async () => {
    const { code, stderr } = await here("why", "nobody")
    assert.strictEqual(code, 2)
    assert.include(stderr, 'has no node "nobody"; it has nodes and outputs words, decorate')
  })
})
