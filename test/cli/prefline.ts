/** Runs the command line as users do, in a process of its own. */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

export const START = path("../../runtime/cli/start.mjs")
/** The same command line with a catalog of one pipeline, `tiny`. */
export const WITH_TINY = path("./fixtures/main.ts")
export const fixture = (name: string) => path(`./fixtures/${name}`)

export const temporaryFolder = () => mkdtempSync(join(tmpdir(), "prefline-cli-"))

export interface Options {
  readonly store?: string
  readonly entry?: string
  readonly node?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export const begin = (args: ReadonlyArray<string>, options: Options = {}): ChildProcess =>
  spawn(process.execPath, [...(options.node ?? []), options.entry ?? START, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: {
      PATH: process.env["PATH"]!,
      HOME: process.env["HOME"]!,
      ...(options.store === undefined ? {} : { PREFLINE_STORE: options.store }),
      ...options.env
    }
  })

export const end = (child: ChildProcess): Promise<Ended> => {
  let [stdout, stderr] = ["", ""]
  child.stdout!.setEncoding("utf8").on("data", (text) => (stdout += text))
  child.stderr!.setEncoding("utf8").on("data", (text) => (stderr += text))
  return new Promise((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, stdout, stderr }))
  })
}

export const prefline = (args: ReadonlyArray<string>, options: Options = {}): Promise<Ended> =>
  end(begin(args, options))

/** Ends as soon as the process has written the text on stdout. */
export const written = (child: ChildProcess, text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    let stdout = ""
    child.stdout!.on("data", (piece) => {
      stdout += String(piece)
      if (stdout.includes(text)) resolve()
    })
    child.once("close", () => reject(new Error(`ended without writing ${JSON.stringify(text)}: ${stdout}`)))
  })
