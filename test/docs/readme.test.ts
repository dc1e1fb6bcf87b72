import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"

const root = fileURLToPath(new URL("../../", import.meta.url))
const readme = readFileSync(join(root, "README.md"), "utf8")
const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!

/** The example as a reader would save it (its types are checked with those of all documents), but with a model that is trained for three steps only. */
const file = join(root, `experiment-${process.pid}.ts`)
const store = mkdtempSync(join(tmpdir(), "prefline-readme-"))
const node = (...args: ReadonlyArray<string>) =>
  promisify(execFile)(process.execPath, [...args], { cwd: root, maxBuffer: 2 ** 26 })
const run = async () => {
  const { stdout } = await node("runtime/cli/start.mjs", "run", file, "--json", "--store", store, "--set", "steps=2")
  return JSON.parse(stdout.trim().split("\n").at(-1)!)
}

beforeAll(() => {
  writeFileSync(
    file,
    example.replace("steps: 300", "steps: 3").replace("limit: 400", "limit: 40").replace("limit: 100", "limit: 5")
  )
})
afterAll(() => {
  for (const path of [file, store]) rmSync(path, { recursive: true, force: true })
})

describe("the README's example", () => {
  it("is under 30 lines", () => assert.isBelow(example.trim().split("\n").length, 30))

  it("runs, and the second time from cache", async () => {
    const [first, second] = [await run(), await run()]
    const statuses = (result: typeof first) => [...new Set(result.nodes.map(({ status }: any) => status))]
    assert.deepStrictEqual([first.status, ...statuses(first)], ["succeeded", "computed"])
    assert.deepStrictEqual([second.status, ...statuses(second)], ["succeeded", "cached"])
    assert.deepStrictEqual(second.outputs, first.outputs)
  })
})
