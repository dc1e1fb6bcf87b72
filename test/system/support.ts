/** Child processes that run pipelines, and what a store looks like from outside. */
import { type ChildProcess, spawn } from "node:child_process"
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type * as Executor from "../../runtime/executor/Executor.ts"
import type * as Plan from "../../runtime/executor/Plan.ts"

export const PROJECT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "")
export const EXPERIMENT = "test/system/children/experiment.ts"

/** An empty folder that is gone after the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "prefline-system-")))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

/** A line that `children/run.ts` prints. */
export type Line =
  | Exclude<Executor.Event, { readonly _tag: "Started" }>
  | { readonly _tag: "Planned"; readonly nodes: Readonly<Record<string, Pick<Plan.PlannedNode, "status" | "why">>> }
  | Result
  | { readonly _tag: "Ended"; readonly outcome: "succeeded" | "failed" | "interrupted" }

export interface Result {
  readonly _tag: "Result"
  readonly statuses: Readonly<Record<string, Executor.NodeStatus>>
  readonly digests: Readonly<Record<string, string>>
}

/** How a process went. */
export interface Ended<L> {
  readonly lines: ReadonlyArray<L>
  readonly stderr: string
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** How long a process may live on after its last line. */
const LINGER = 5000

interface Options<L> {
  readonly cwd?: string
  readonly flags?: ReadonlyArray<string>
  readonly onLine?: (line: L, child: ChildProcess) => void
  /** Worker threads of a run; 1, which is none, unless told. */
  readonly workers?: number
}

/**
 * Runs a script of `children/` that prints JSON lines, under this very Node. It is killed with the fiber, and where
 * something keeps it alive after it said `Ended`.
 */
export const child = <L>(script: string, args: ReadonlyArray<string>, options: Options<L> = {}) =>
  Effect.callback<Ended<L>>((resume) => {
    const command = [...(options.flags ?? []), `test/system/children/${script}.ts`, ...args]
    const process_ = spawn(process.execPath, command, { cwd: options.cwd ?? PROJECT })
    const lines: Array<L> = []
    let [rest, stderr] = ["", ""]
    let lingering: NodeJS.Timeout | undefined
    process_.stdout.on("data", (chunk) => {
      const parts = `${rest}${chunk}`.split("\n")
      rest = parts.pop()!
      for (const part of parts) {
        const line = JSON.parse(part) as L
        lines.push(line)
        options.onLine?.(line, process_)
        if ((line as Partial<Line>)._tag === "Ended") lingering = setTimeout(() => process_.kill("SIGKILL"), LINGER)
      }
    })
    process_.stderr.on("data", (chunk) => {
      stderr += chunk
    })
    process_.on("close", (code, signal) => {
      clearTimeout(lingering)
      resume(Effect.succeed({ lines, stderr, code, signal }))
    })
    return Effect.sync(() => void process_.kill("SIGKILL"))
  })

/** Runs a pipeline in a process of its own, to whatever end. */
export const running = (target: string, root: string, params: object = {}, options: Options<Line> = {}) =>
  child<Line>("run", [target, root, JSON.stringify(params), `${options.workers ?? 1}`], options)

/** Runs a pipeline in a process of its own, which has to succeed. */
export const finished = (target: string, root: string, params: object = {}, options: Options<Line> = {}) =>
  Effect.map(running(target, root, params, options), (ended) => {
    assert.deepStrictEqual([ended.code, ended.signal], [0, null], ended.stderr)
    return { ...ended, result: resultOf(ended)! }
  })

export const resultOf = ({ lines }: Ended<Line>): Result | undefined => lines.find((line) => line._tag === "Result")

/** An option of `running`: calls `then` at the n-th sign of work (a node begins, or tells how far it is), once. */
export const atWork = (n: number, then: (child: ChildProcess) => void): Options<Line> => {
  let signs = 0
  return {
    onLine: (line, child) => {
      if ((line._tag === "NodeStarted" || line._tag === "NodeProgress") && ++signs === n) then(child)
    }
  }
}

/** Every object has the digest that it is named by, nothing had to be set aside, and nothing is half written. */
export const assertUndamaged = (root: string) => {
  const files = Fs.globSync(`${root}/objects/*/*`)
  assert.isNotEmpty(files)
  for (const path of files) {
    const digest = createHash("sha256").update(Fs.readFileSync(path)).digest("hex")
    assert.strictEqual(Path.relative(`${root}/objects`, path).replace("/", ""), digest)
  }
  assert.deepStrictEqual(Fs.readdirSync(`${root}/quarantine`), [])
  assert.deepStrictEqual(Fs.readdirSync(`${root}/tmp`), [])
}

/** The project's sources in another folder, with the same packages; one of them can be copied too, so that it can change. */
export const copyProject = (copy: string, ownPackage?: string) => {
  for (const name of ["dsl", "stages", "pipelines", "runtime", "package.json", "test/system/children"]) {
    Fs.cpSync(`${PROJECT}/${name}`, `${copy}/${name}`, { recursive: true })
  }
  Fs.mkdirSync(`${copy}/node_modules`)
  for (const name of Fs.readdirSync(`${PROJECT}/node_modules`)) {
    const [from, to] = [`${PROJECT}/node_modules/${name}`, `${copy}/node_modules/${name}`]
    if (name === ownPackage) Fs.cpSync(from, to, { recursive: true })
    else Fs.symlinkSync(from, to)
  }
}

/** An edit that finds nothing to change would prove nothing. */
export const edit = (copy: string, file: string, from: string, to: string) => {
  const text = Fs.readFileSync(`${copy}/${file}`, "utf8")
  assert.include(text, from, `${file} is no longer as this test knows it`)
  Fs.writeFileSync(
    `${copy}/${file}`,
    text.replace(from, () => to)
  )
}
