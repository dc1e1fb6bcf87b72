/** Headless Chromium for tests of pages: `PREFLINE_CHROMIUM` names one, else Debian's is taken where it is. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type BrowserContext, chromium, type Page } from "playwright-core"

const asked = process.env["PREFLINE_CHROMIUM"]
const executable = asked ?? "/usr/bin/chromium"

/** Why tests in the browser cannot run here; nothing where they can. One that was asked for by name has to be there. */
export const missing = existsSync(executable)
  ? undefined
  : `no Chromium at ${executable}: .ci/chromium installs one, PREFLINE_CHROMIUM names another`

if (missing !== undefined && asked !== undefined) throw new Error(missing)
if (missing !== undefined) console.warn(`SKIPPED, tests in a browser: ${missing}`)

export type Scheme = "light" | "dark"

export interface Looks {
  readonly scheme: Scheme
  /** CSS pixels. */
  readonly width: number
}

/** Desktop and telephone, in the light and in the dark. */
export const LOOKS: ReadonlyArray<Looks> = [
  { scheme: "light", width: 1280 },
  { scheme: "dark", width: 1280 },
  { scheme: "light", width: 380 },
  { scheme: "dark", width: 380 }
]

export interface Opened {
  readonly page: Page
  /** What the page said in its console that is an error or a warning, and what was thrown in it. */
  readonly complaints: Array<string>
  /** Addresses that it asked for beyond itself. */
  readonly requests: Array<string>
}

export interface Browser {
  readonly context: BrowserContext
  readonly close: () => Promise<void>
}

/** A browser with an empty profile and, unless told, without a network. */
export const launch = async (offline = true): Promise<Browser> => {
  const profile = mkdtempSync(join(tmpdir(), "prefline-chromium-"))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: executable,
    headless: true,
    offline,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync"
    ]
  })
  const close = async () => {
    await context.close()
    rmSync(profile, { recursive: true, force: true })
  }
  return { context, close }
}

/** `launch` for one use. */
export const withBrowser = async <A>(use: (context: BrowserContext) => Promise<A>, offline = true): Promise<A> => {
  const { close, context } = await launch(offline)
  try {
    return await use(context)
  } finally {
    await close()
  }
}

/** Opens an address in a new tab and listens to all that it says and asks for. */
export const open = async (context: BrowserContext, url: string, { scheme, width }: Looks): Promise<Opened> => {
  const page = await context.newPage()
  const complaints: Array<string> = []
  const requests: Array<string> = []
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
  })
  page.on("pageerror", (error) => complaints.push(error.message))
  page.on("request", (request) => {
    if (request.url() !== url) requests.push(request.url())
  })
  await page.emulateMedia({ colorScheme: scheme })
  await page.setViewportSize({ width, height: 900 })
  await page.goto(url, { waitUntil: "load" })
  return { page, complaints, requests }
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

/** What axe finds wrong with the page, a line for each element. */
export const violations = async (page: Page): Promise<ReadonlyArray<string>> => {
  // By the debugger's protocol, which the page's own policy does not reach.
  await page.evaluate(axeSource)
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      readonly axe: {
        readonly run: (options: unknown) => Promise<{
          readonly violations: ReadonlyArray<{
            readonly id: string
            readonly help: string
            readonly nodes: ReadonlyArray<{ readonly html: string; readonly failureSummary?: string }>
          }>
        }>
      }
    }
    const found = await axe.run({ resultTypes: ["violations"] })
    return found.violations.flatMap(({ help, id, nodes }) =>
      nodes.map(({ failureSummary, html }) => `${id}: ${help}: ${html.slice(0, 200)} ${failureSummary ?? ""}`)
    )
  })
}

/** By how many CSS pixels the page is wider than the window. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
