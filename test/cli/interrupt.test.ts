import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { begin, end, fixture, prefline, temporaryFolder, written } from "./prefline.ts"
import * as Shapes from "./shapes.ts"

const slow = `${fixture("tiny.ts")}#slow`

const lastEvent = (store: string, run: string) =>
  JSON.parse(
    readFileSync(join(store, "runs", run, "journal.jsonl"), "utf8")
      .trimEnd()
      .split("\n")
      .at(-1)!
  )

describe.concurrent("a run that is interrupted", () => {
  it.each(["SIGINT", "SIGTERM"] as const)(
    "by %s ends with 130, says so in its journal, and can be gone on with",
    async (signal) => {
      const store = join(temporaryFolder(), "store")
      const child = begin(["run", slow], { store })
      const ended = end(child)
      await written(child, "> wait\n")
      child.kill(signal)
      const { code, stderr } = await ended
      assert.strictEqual(code, 130)
      assert.strictEqual(stderr, "prefline: interrupted; run the same command again to go on\n")
      const [run] = readdirSync(join(store, "runs"))
      const last = lastEvent(store, run!)
      assert.deepStrictEqual([last._tag, last.status], ["RunFinished", "interrupted"])

      const resumed = await prefline(["run", slow, "--set", "milliseconds=1", "--json"], { store })
      assert.strictEqual(resumed.code, 0, resumed.stderr)
      assert.deepStrictEqual(
        Shapes.only(Shapes.Result, resumed.stdout).nodes.map(({ id, status }) => [id, status]),
        [
          ["words", "cached"],
          ["decorate", "cached"],
          ["wait", "computed"]
        ]
      )
      const replayed = await prefline(["replay", run!], { store })
      assert.strictEqual(replayed.code, 1)
      assert.include(replayed.stderr, "wait: was not finished")
    }
  )

  it("gives no result on stdout with --json", async () => {
    const store = join(temporaryFolder(), "store")
    const child = begin(["run", slow, "--json"], { store })
    const ended = end(child)
    await new Promise<void>((resolve) =>
      child.stderr!.on("data", (text) => String(text).includes("> wait") && resolve())
    )
    child.kill("SIGINT")
    const { code, stdout } = await ended
    assert.strictEqual(code, 130)
    assert.strictEqual(stdout, "")
  })
})

it("a second interrupt ends a stage that does not stop; one right after the first, as npm sends it, does not", async () => {
  const store = join(temporaryFolder(), "store")
  const child = begin(["run", slow, "--set", "stubborn=true"], { store })
  const ended = end(child)
  await written(child, "> wait\n")
  child.kill("SIGINT")
  await sleep(200)
  child.kill("SIGINT")
  await sleep(1200)
  assert.isNull(child.exitCode)
  child.kill("SIGINT")
  const { code, stderr } = await ended
  assert.strictEqual(code, 130)
  assert.notInclude(stderr, "    at ")
})

it("a reader that goes away ends the process quietly", async () => {
  const child = begin(["list", "--json"])
  child.stdout!.destroy()
  const { code, stderr } = await end(child)
  assert.strictEqual(code, 141)
  assert.strictEqual(stderr, "")
})
