/** The served pages in a browser: the page of a run changes while the run goes on in another process. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { Catalog } from "../../../runtime/cli/Catalog.ts"
import * as Server from "../../../runtime/serve/Server.ts"
import { Store } from "../../../runtime/store/Store.ts"
import { missing, overflow, violations, withBrowser } from "../../browser/chromium.ts"
import { begin, end, fixture, prefline, WITH_TINY, written } from "../../cli/prefline.ts"
import { folder } from "../store/scratch.ts"

/** Where pictures of the pages are put for people to look at, if anywhere. */
const PICTURES = process.env["PREFLINE_PICTURES"]

describe.skipIf(missing !== undefined)("in a browser", () => {
  it.live(
    "the page of a run follows it, and all pages are accessible, light and dark, wide and narrow",
    () =>
      Effect.gen(function* () {
        const store = yield* folder
        yield* Effect.gen(function* () {
          const { url } = yield* Server.start({ host: "127.0.0.1", port: 0 })
          yield* Effect.promise(() => withBrowser((context) => followed(context.newPage(), url, store), false))
        }).pipe(
          Effect.provide(Store.layer(store)),
          Effect.provideService(Catalog, async () => [])
        )
      }).pipe(Effect.scoped),
    180_000
  )
})

const followed = async (opening: Promise<Page>, url: string, store: string) => {
  await prefline(["run", "tiny"], { entry: WITH_TINY, store })
  await prefline(["run", "tiny", "--set", "bonus=2"], { entry: WITH_TINY, store })
  const page = await opening
  const complaints: Array<string> = []
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
  })
  page.on("pageerror", (error) => complaints.push(error.message))

  const child = begin(["run", `${fixture("tiny.ts")}#slow`, "--set", "milliseconds=12000"], { store })
  const ended = end(child)
  await written(child, "> wait\n")
  await page.goto(url)
  await page.click("#runs tr:first-child a")
  await page.waitForSelector('#status:text-is("running")')
  await page.waitForSelector('tr[data-node="wait"] .status.running')
  await page.waitForSelector("#graph g.node.running")
  await page.waitForSelector('figure[data-metric="loss"] polyline')
  const points = () => page.getAttribute('figure[data-metric="loss"] polyline', "points")
  const before = (await points())!.split(" ").length
  await page.waitForSelector('tr[data-node="wait"] .progress >> text=/[4-9]\\/10/')
  assert.isAbove((await points())!.split(" ").length, Math.min(before, 3))
  await look(page, "running")
  await page.waitForSelector('#status:text-is("succeeded")', { timeout: 60_000 })
  assert.strictEqual((await ended).code, 0)
  assert.strictEqual((await points())!.split(" ").length, 10)
  assert.strictEqual(await page.locator("#graph g.node.cached").count(), 2)
  assert.strictEqual(await page.locator("#graph g.node.computed").count(), 1)
  assert.include(await page.textContent("#log li:last-child"), "the run succeeded after")

  await page.goto(url)
  for (const box of (await page.locator("#runs input").all()).slice(1, 3)) await box.check()
  await look(page, "list")
  await page.click("button[type=submit]")
  await page.waitForSelector("h1:has-text('2 runs, side by side')")
  await look(page, "compare")
  await page.goto(`${url}runs/none`)
  await look(page, "missing")
  assert.deepStrictEqual(
    complaints.filter((text) => !text.includes("404")),
    []
  )
}

const look = async (page: Page, name: string) => {
  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [1280, 380]) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 900 })
      assert.deepStrictEqual(await violations(page), [], `${name}, ${colorScheme}, ${width}`)
      assert.isAtMost(await overflow(page), 0, `${name} is too wide at ${width}`)
      if (PICTURES !== undefined) {
        await page.screenshot({ path: `${PICTURES}/${name}-${colorScheme}-${width}.png`, fullPage: true })
      }
    }
  }
}
