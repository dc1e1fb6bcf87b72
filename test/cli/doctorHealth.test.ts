import { appendFileSync, globSync, mkdirSync, readdirSync, unlinkSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Needs from "../../runtime/cli/doctor/needs.ts"
import { storeHealth } from "../../runtime/cli/doctor/storeHealth.ts"
import { inProcess } from "./inProcess.ts"
import { temporaryFolder } from "./prefline.ts"

describe("the health of a store", () => {
  it("counts what is there, finds damage, and sets it aside only when asked to look deep", async () => {
    const store = join(temporaryFolder(), "store")
    await inProcess(["run", "tiny", "--store", store])
    const healthy = storeHealth(store, true)
    assert.deepInclude(healthy, { runs: 1, entries: 4, checked: 7, damaged: [], unusableEntries: 0, quarantined: 0 })
    const [first, second] = globSync(`${store}/objects/*/*`).sort()
    appendFileSync(first!, "x")
    unlinkSync(second!)
    const digest = first!.slice(-65).replace("/", "")
    const sampled = storeHealth(store, false)
    assert.deepStrictEqual([sampled.damaged, sampled.unusableEntries, sampled.quarantined], [[digest], null, 0])
    const deep = storeHealth(store, true)
    assert.deepStrictEqual([deep.damaged, deep.quarantined], [[digest], 1])
    assert.isAbove(deep.unusableEntries!, 0)
    assert.deepStrictEqual(readdirSync(`${store}/quarantine`), [`${digest}-0`])
  })

  it("is told where there is a store, and a folder that is none is no reason to fail", async () => {
    const folder = temporaryFolder()
    const health = async () => {
      const { code, stdout } = await inProcess(["doctor", "--device", "cpu", "--json", "--store", folder])
      assert.strictEqual(code, 0)
      return JSON.parse(stdout).health
    }
    assert.isNull(await health())
    writeFileSync(join(folder, "format.json"), '{"format":"prefline-store","version":1}\n')
    mkdirSync(join(folder, "objects"))
    assert.deepInclude(await health(), { runs: 0, checked: 0 })
    writeFileSync(join(folder, "actions"), "a file")
    assert.deepInclude(await health(), { entries: 0 })
  }, 60_000)
})

describe("what prefline needs", () => {
  it("is installed here in the versions that it names, but for optional packages", () => {
    for (const { optional, package: name } of Needs.mismatches()) assert.isTrue(optional, name)
  })

  it("tells of the Hub whether it answers, by an endpoint of one's own too", async () => {
    const server = createServer((_, response) => response.writeHead(204).end())
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const before = process.env["HF_ENDPOINT"]
    try {
      process.env["HF_ENDPOINT"] = `http://${host}/`
      const there = await Effect.runPromise(Needs.hub(20))
      assert.deepStrictEqual(there, { host, reached: true, answer: "status 204" })
      await new Promise((resolve) => server.close(resolve))
      const gone = await Effect.runPromise(Needs.hub(20))
      assert.isFalse(gone.reached)
      assert.include(gone.answer, "ECONNREFUSED")
      process.env["HF_ENDPOINT"] = "no url"
      assert.strictEqual((await Effect.runPromise(Needs.hub(20))).answer, "it is no URL")
    } finally {
      if (before === undefined) delete process.env["HF_ENDPOINT"]
      else process.env["HF_ENDPOINT"] = before
    }
  })
})
