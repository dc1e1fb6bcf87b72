import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { ask, news } from "../runtime/serve/asking.ts"
import { begin, end, fixture, prefline, temporaryFolder, WITH_TINY, written } from "./prefline.ts"

const lineOf = (text: string) => JSON.parse(text.split("\n")[0]!) as { readonly url: string; readonly store: string }

describe.concurrent("serve", () => {
  it("says where it listens, shows a run that goes on, and ends with its readers on Ctrl-C", async () => {
    const store = join(temporaryFolder(), "store")
    const running = begin(["run", `${fixture("tiny.ts")}#slow`], { store })
    const ran = end(running)
    await written(running, "> wait\n")
    const child = begin(["serve", "--port", "0", "--json"], { store, entry: WITH_TINY })
    const ended = end(child)
    const url = await new Promise<string>((resolve) =>
      child.stdout!.once("data", (text) => resolve(lineOf(String(text)).url))
    )
    const port = Number(new URL(url).port)
    const [run] = JSON.parse((await ask(port, "/api/runs")).body)
    assert.strictEqual(run.status, "running")
    let interrupted = false
    const seen = await news(port, `/runs/${run.run}/events`, () => {
      if (!interrupted) child.kill("SIGINT")
      interrupted = true
      return false
    })
    assert.strictEqual(seen[0]!.events[0]!._tag, "RunStarted")
    const { code, stderr } = await ended
    assert.strictEqual(code, 130)
    assert.notInclude(stderr, "    at ")
    running.kill("SIGINT")
    await ran
  })

  it.each([
    ["no store", [], /there is no store in/],
    ["no port", ["--port", "70000"], /port/]
  ])("%s is told", async (_, args, problem) => {
    const { code, stderr } = await prefline(["serve", ...args], { store: join(temporaryFolder(), "store") })
    assert.strictEqual(code, 2)
    assert.match(stderr, problem)
    assert.notInclude(stderr, "    at ")
  })

  it("has help with examples", async () => {
    const { code, stdout } = await prefline(["serve", "--help"])
    assert.strictEqual(code, 0)
    assert.include(stdout, "prefline -- serve")
  })
})
