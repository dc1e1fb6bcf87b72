/** A copy of the sources to break, and a run of a few of its tests. */
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

const COPIED = ["dsl", "stages", "pipelines", "runtime", "test", "package.json", "tsconfig.json", "vitest.config.ts"]

/** Copies sources and tests into a temporary folder; the packages are linked. */
export const makeCopy = (from: URL): { readonly root: URL; readonly remove: () => void } => {
  const folder = mkdtempSync(join(tmpdir(), "prefline-strength-"))
  for (const name of COPIED) cpSync(fileURLToPath(new URL(name, from)), join(folder, name), { recursive: true })
  symlinkSync(fileURLToPath(new URL("node_modules", from)), join(folder, "node_modules"))
  return { root: pathToFileURL(`${folder}/`), remove: () => rmSync(folder, { recursive: true }) }
}

/** How many tests ran, and the first that failed, with the law that it holds things to, where it is one. */
export interface Tried {
  readonly ran: number
  readonly failed: { readonly test: string; readonly law: string | undefined } | undefined
}

/** Milliseconds after which tests that a bug keeps from ending count as not run. */
const PATIENCE = 300_000

/** Runs the tests of these files in the copy, or those whose names match `only`, with low priority, to the first failure. */
export const runTests = (root: URL, files: ReadonlyArray<string>, only?: string): Tried => {
  const report = fileURLToPath(new URL("strength.json", root))
  rmSync(report, { force: true })
  const vitest = fileURLToPath(new URL("node_modules/vitest/vitest.mjs", root))
  const options = ["--bail=1", "--reporter=json", `--outputFile=${report}`, "--maxWorkers=1"]
  const { error } = spawnSync(
    "nice",
    ["-n", "1", process.execPath, vitest, "run", ...files, ...(only === undefined ? [] : ["-t", only]), ...options],
    { cwd: fileURLToPath(root), stdio: "ignore", timeout: PATIENCE }
  )
  if (error !== undefined) throw error
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as Report
  const all = testResults.flatMap(({ assertionResults }) => assertionResults)
  const first = all.find(({ status }) => status === "failed")
  return {
    ran: all.filter(({ status }) => status === "passed" || status === "failed").length,
    failed: first && { test: first.fullName, law: lawIn(first.failureMessages.join("\n")) }
  }
}

interface Report {
  readonly testResults: ReadonlyArray<{
    readonly assertionResults: ReadonlyArray<{
      readonly fullName: string
      readonly status: string
      readonly failureMessages: ReadonlyArray<string>
    }>
  }>
}

/** The law that a failed test names: in the verdict that it shows, or before what it expected. */
const lawIn = (message: string): string | undefined => {
  const verdict = /"law":"((?:[^"\\]|\\.)*)"/.exec(message)?.[1]
  return (
    verdict ?? (message.includes('"_tag":"Broken"') ? /^AssertionError: (.*?): expected/.exec(message)?.[1] : undefined)
  )
}
