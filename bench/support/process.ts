/** Whole processes, from start to end. */
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Effect, Schema } from "effect"

export const PROJECT = fileURLToPath(new URL("../..", import.meta.url))

/** A process that was to succeed did not. */
export class ProcessFailed extends Schema.TaggedError<ProcessFailed>()("ProcessFailed", {
  command: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.command}: ${this.problem}`
  }
}

export interface Ended {
  /** Milliseconds from the start of the process to its end. */
  readonly wall: number
  readonly stdout: ReadonlyArray<string>
}

/** Runs a process to its end. It is killed with the fiber, and when `onLine` returns `stop`; that counts as success. */
export const run = (
  program: string,
  args: ReadonlyArray<string>,
  options: {
    readonly environment?: Readonly<Record<string, string>>
    readonly onLine?: (line: string, ms: number) => "stop" | undefined
  } = {}
): Effect.Effect<Ended, ProcessFailed> =>
  Effect.callback((resume) => {
    const begun = performance.now()
    const env = { ...process.env, ...options.environment }
    const child = spawn(program, args, { cwd: PROJECT, env, stdio: ["ignore", "pipe", "pipe"] })
    const stdout: Array<string> = []
    let [errors, stopped] = ["", false]
    createInterface({ input: child.stdout }).on("line", (line) => {
      stdout.push(line)
      if (options.onLine?.(line, performance.now() - begun) === "stop") {
        stopped = true
        child.kill("SIGKILL")
      }
    })
    child.stderr.on("data", (chunk) => (errors = `${errors}${chunk}`.slice(-4000)))
    const command = [Path.basename(program), ...args].join(" ").slice(0, 200)
    const fail = (problem: string) => resume(Effect.fail(new ProcessFailed({ command, problem })))
    child.on("error", ({ message }) => fail(message))
    child.on("close", (code, signal) => {
      const wall = performance.now() - begun
      if (code === 0 || stopped) resume(Effect.succeed({ wall, stdout }))
      else fail(`ended with ${signal ?? `status ${code}`}\n${errors}`)
    })
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

const Usage = Schema.fromJsonString(Schema.Struct({ peakBytes: Schema.Finite, cpuMs: Schema.Finite }))

/** Runs the project's command line in a fresh process, and says what the process used. */
export const prefline = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>,
  options: Pick<NonNullable<Parameters<typeof run>[2]>, "onLine"> = {}
) {
  const folder = yield* temporary
  const report = Path.join(folder, "usage.jsonl")
  const preload = pathToFileURL(Path.join(PROJECT, "bench/support/usage.mjs")).href
  const ended = yield* run(process.execPath, [Path.join(PROJECT, "runtime/cli/start.mjs"), ...args], {
    ...options,
    environment: { NODE_OPTIONS: `--import=${preload}`, PREFLINE_BENCH_USAGE: report, NO_COLOR: "1" }
  })
  const lines = existsSync(report) ? readFileSync(report, "utf8").trim().split("\n") : []
  const used = yield* Effect.forEach(lines, (line) => Schema.decodeUnknownEffect(Usage)(line))
  return {
    ...ended,
    cpuMs: used.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    peakBytes: Math.max(0, ...used.map(({ peakBytes }) => peakBytes))
  }
}, Effect.scoped)

/** An empty folder for the life of the scope. */
export const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(Path.join(Os.tmpdir(), "prefline-bench-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)
