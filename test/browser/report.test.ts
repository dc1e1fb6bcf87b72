/** Reports in headless Chromium, without a network: nothing missing, nothing complained of, readable for everybody. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { inProcess } from "../cli/inProcess.ts"
import { temporaryFolder } from "../cli/prefline.ts"
import { type Browser, LOOKS, type Looks, launch, missing, open, overflow, violations } from "./chromium.ts"

const folder = temporaryFolder()
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
/** Bytes. */
const LIMIT = 2_000_000

const report = async (pipeline: string, code: number) => {
  const file = join(folder, `${pipeline.replaceAll(/\W+/g, "-")}.html`)
  const ended = await inProcess(["run", pipeline, "--store", join(folder, "store"), "--workers", "1", "--report", file])
  assert.strictEqual(ended.code, code, ended.stderr)
  return file
}

/** How many elements bring a script of their own, as none of ours does. */
const HANDLERS = `[...document.querySelectorAll("*")].filter((element) =>
  element.getAttributeNames().some((name) => name.startsWith("on"))).length`

// One for the file: it takes longer to start than to draw.
let browser: Browser | undefined
beforeAll(async () => {
  if (missing === undefined) browser = await launch()
})
afterAll(() => browser?.close())
const opened = (file: string, looks: Looks) => open(browser!.context, pathToFileURL(file).href, looks)

const inspect = async (file: string, all: ReadonlyArray<Looks>) => {
  for (const looks of all) {
    const { complaints, page, requests } = await opened(file, looks)
    const told = JSON.stringify(looks)
    assert.deepStrictEqual(await violations(page), [], told)
    assert.strictEqual(await overflow(page), 0, told)
    assert.strictEqual(await page.evaluate(HANDLERS), 0, told)
    assert.deepStrictEqual({ complaints, requests }, { complaints: [], requests: [] }, told)
    await page.close()
  }
}

/** Wide and light, narrow and dark: enough for pages of the same make. */
const TWO = [LOOKS[0]!, LOOKS[3]!]

describe.skipIf(missing !== undefined)("the report of a small run of the real kind", () => {
  let file = ""
  beforeAll(async () => {
    file = await report(here("fixtures/small.ts"), 0)
  })

  it("is small", () => {
    assert.isBelow(readFileSync(file).length, LIMIT)
  })

  it("opens in every look without network, complaint, overflow or barrier", () => inspect(file, LOOKS))

  it("shows graph, curves, answers and numbers, and sorts its nodes", async () => {
    const { page } = await opened(file, LOOKS[0]!)
    assert.strictEqual(await page.locator("h1").innerText(), "small")
    assert.strictEqual(await page.locator("#answers article").count(), 5)
    assert.isAbove(await page.locator("#training .chart svg path").count(), 10)
    const first = page.locator(".graph a", { hasText: "base" }).first()
    await first.click()
    assert.match(page.url(), /#node-\d+$/)
    assert.include(await page.locator("tr:target").innerText(), "base")
    const header = page.locator("#nodes th button", { hasText: "time" })
    const times = () =>
      page.locator("#nodes tbody data").evaluateAll((all) => all.map((one) => Number(one.getAttribute("value"))))
    await header.click()
    const ascending = await times()
    assert.deepStrictEqual(
      ascending,
      ascending.toSorted((a, b) => a - b)
    )
    await header.click()
    assert.deepStrictEqual(
      await times(),
      ascending.toSorted((a, b) => b - a)
    )
  })

  it("changes its colours with the scheme, in the drawings too", async () => {
    const seen: Array<unknown> = []
    for (const looks of LOOKS.slice(0, 2)) {
      const { page } = await opened(file, looks)
      seen.push(
        await page.evaluate(`["body", ".graph .node path", ".graph .node text", "#training svg path[stroke]"].map((where) => {
            const { backgroundColor, fill, stroke } = getComputedStyle(document.querySelector(where))
            return [backgroundColor, fill, stroke].join()
          })`)
      )
    }
    const [light, dark] = seen as [ReadonlyArray<string>, ReadonlyArray<string>]
    for (const [i, look] of light.entries()) assert.notStrictEqual(look, dark[i])
  })
})

describe.skipIf(missing !== undefined)("reports of other runs", () => {
  it("a sweep, whose data is hostile", async () => {
    await inspect(await report(`${here("../runtime/report/fixtures/hostile.ts")}#swept`, 0), TWO)
  })

  it("a run that failed", async () => {
    await inspect(await report(`${here("../runtime/report/fixtures/hostile.ts")}#failing`, 1), TWO)
  })

  it("does not pass what is wrong", async () => {
    const file = join(folder, "wrong.html")
    const image = "<img src='https://example.org/x.png'>"
    writeFileSync(
      file,
      `<!doctype html><title>x</title><p onclick="0" style="color:#eee;width:3000px">pale</p>${image}`
    )
    const { complaints, page, requests } = await opened(file, LOOKS[0]!)
    const found = (await violations(page)).join("\n")
    for (const rule of ["color-contrast", "image-alt", "html-has-lang"]) assert.include(found, rule)
    assert.isAbove(await overflow(page), 1000)
    assert.strictEqual(await page.evaluate(HANDLERS), 1)
    assert.deepStrictEqual(requests, ["https://example.org/x.png"])
    assert.isNotEmpty(complaints)
  })
})
