import { mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { gunzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { inProcess } from "./inProcess.ts"
import { temporaryFolder } from "./prefline.ts"

describe("gc and pin", () => {
  it("remove what is told, but for pins, and tell it before", async () => {
    const store = join(temporaryFolder(), "store")
    const here = (...args: ReadonlyArray<string>) => inProcess([...args, "--store", store])
    const ids: Array<string> = []
    for (const set of ["bonus=1", "bonus=2", "bonus=3"])
      ids.push(JSON.parse((await here("run", "tiny", "--json", "--set", set)).stdout).run)
    // This process, which ran them, still lives: their journals say so. Kept whatever is asked for.
    assert.include((await here("gc", "--keep-runs", "0", "--grace", "0m", "--dry-run")).stdout, "kept: 3 runs")
    const pinned = await here("pin", ids[0]!, "--name", "first")
    assert.match(pinned.stdout, /first +run +\d{8}-/)
    const json = JSON.parse((await here("gc", "--dry-run", "--json")).stdout)
    assert.deepStrictEqual([json.dryRun, json.runs, json.objects], [true, [], { count: 0, bytes: 0 }])
    assert.strictEqual((await here("unpin", "first")).code, 0)
    assert.strictEqual((await here("pin")).stdout, "no pins\n")
    const unknown = await here("unpin", "first")
    assert.strictEqual(unknown.code, 2)
    assert.include(unknown.stderr, 'there is no pin "first"; there are none')
  })

  it("leave cached answers of endpoints alone, and exports do not carry them", async () => {
    const folder = temporaryFolder()
    const store = join(folder, "store")
    await inProcess(["run", "tiny", "--store", store])
    const cached = join(store, "responses", "ab", `${"c".repeat(62)}.json`)
    mkdirSync(dirname(cached), { recursive: true })
    writeFileSync(cached, "an answer that was paid for")
    utimesSync(cached, 0, 0)
    const gone = await inProcess(["gc", "--keep-runs", "0", "--grace", "0m", "--store", store])
    assert.strictEqual(gone.code, 0, gone.stderr)
    assert.strictEqual(readFileSync(cached, "utf8"), "an answer that was paid for")
    const out = join(folder, "tiny.tar.gz")
    assert.strictEqual((await inProcess(["export", "tiny", "--out", out, "--store", store])).code, 0)
    assert.notInclude(gunzipSync(readFileSync(out)).toString("latin1"), "paid for")
    assert.strictEqual((await inProcess(["verify", "tiny", "--store", store])).code, 0)
  })

  it("want ages with a unit", async () => {
    const { code, stderr } = await inProcess(["gc", "--older-than", "30"])
    assert.strictEqual(code, 2)
    assert.include(stderr, "like 30d")
  })
})
