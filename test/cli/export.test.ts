import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { inProcess } from "./inProcess.ts"
import { prefline, temporaryFolder, WITH_TINY } from "./prefline.ts"

describe("export and import", () => {
  it("take a run to another store, folder and home, where it replays and verifies", async () => {
    const [here, there] = [temporaryFolder(), temporaryFolder()]
    const store = join(here, "store")
    const made = await inProcess(["run", "tiny", "--store", store, "--json"])
    const { outputs, run } = JSON.parse(made.stdout)
    const out = join(here, "tiny.tar.gz")
    const exported = await inProcess(["export", "tiny", "--out", out, "--store", store])
    assert.strictEqual(exported.code, 0, exported.stderr)
    assert.match(exported.stdout, /7 objects, 4 keys/)
    mkdirSync(join(there, "work"))
    cpSync(out, join(there, "work", "a.tar.gz"))
    rmSync(here, { recursive: true })

    const at = { entry: WITH_TINY, store: join(there, "results"), cwd: join(there, "work"), env: { HOME: there } }
    const imported = await prefline(["import", "a.tar.gz"], at)
    assert.strictEqual(imported.code, 0, imported.stderr)
    assert.include(imported.stdout, `imported run ${run} of tiny, 7 objects, 4 keys`)
    const replayed = await prefline(["replay", run, "--json"], at)
    assert.deepStrictEqual(JSON.parse(replayed.stdout).outputs, outputs)
    const verified = await inProcess(["verify", run, "--json", "--store", at.store])
    assert.strictEqual(JSON.parse(verified.stdout).status, "verified")
    const again = await inProcess(["run", "tiny", "--json", "--store", at.store])
    const statuses = JSON.parse(again.stdout).nodes.map(({ status }: { readonly status: string }) => status)
    assert.deepStrictEqual(statuses, ["cached", "cached", "cached", "cached"])
  }, 60_000)

  it("say what is wrong with a file, and write over none", async () => {
    const folder = temporaryFolder()
    const store = join(folder, "store")
    await inProcess(["run", "tiny", "--store", store])
    const file = join(folder, "x.tar.gz")
    writeFileSync(file, "mine")
    const taken = await inProcess(["export", "--out", file, "--store", store])
    assert.strictEqual(taken.code, 2)
    assert.include(taken.stderr, "exists; give another --out")
    const bad = await inProcess(["import", file, "--store", join(folder, "other")])
    assert.strictEqual(bad.code, 1)
    assert.include(bad.stderr, "is no archive that can be imported")
    assert.deepStrictEqual(readdirSync(join(folder, "other", "runs")), [])
    const nowhere = await inProcess(["export", "--out", join(folder, "no", "x.gz"), "--store", store])
    assert.strictEqual(nowhere.code, 1)
    assert.match(nowhere.stderr, /cannot write .*x\.gz: ENOENT/)
    assert.isFalse(existsSync(join(folder, "no")))
  })
})
