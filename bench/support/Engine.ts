/** One side of a comparison: a child process that takes JSON requests and answers each with a line of JSON. */
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { Effect, Schema, type Scope } from "effect"
import type { Times } from "./statistics.ts"
import type { Sizes } from "./workload.ts"

/** How an engine's process is started, and its name in tables. */
export interface Command {
  readonly name: string
  readonly program: string
  readonly arguments: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
}

export type Request =
  /** Makes the model of these sizes; what was there before is gone. */
  | { readonly op: "sizes"; readonly sizes: Sizes }
  | { readonly op: "train"; readonly steps: number }
  | {
      readonly op: "sample"
      readonly rows: number
      readonly prompt: number
      readonly new: number
      readonly greedy: boolean
    }
  /** The process ends after its answer. */
  | { readonly op: "end" }

export interface Answers {
  readonly sizes: { readonly describe: string; readonly peakBytes: number }
  readonly train: Times & { readonly losses: ReadonlyArray<number> }
  readonly sample: Times & { readonly tokens: ReadonlyArray<ReadonlyArray<number>> }
  readonly end: { readonly peakBytes: number }
}

export interface Engine {
  readonly name: string
  readonly ask: <Op extends Request["op"]>(
    request: Extract<Request, { readonly op: Op }>
  ) => Effect.Effect<Answers[Op], EngineFailed>
}

/** An engine's process ended instead of answering. */
export class EngineFailed extends Schema.TaggedError<EngineFailed>()("EngineFailed", {
  engine: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.engine}: ${this.problem}`
  }
}

const script = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url))

export const prefline: Command = {
  name: "prefline",
  program: process.execPath,
  arguments: [script("engines/prefline.ts")]
}

export const published: Command = {
  name: "published wasm",
  program: process.execPath,
  arguments: [script("engines/published.ts")]
}

/** PyTorch with so many threads; for sampling, the `generate` of `transformers`. */
export const pytorch = (python: string, threads: number, name = "PyTorch"): Command => ({
  name: `${name}, ${threads} thread${threads === 1 ? "" : "s"}`,
  program: python,
  arguments: [script("python/engine.py")],
  environment: { PREFLINE_BENCH_THREADS: String(threads), PYTHONDONTWRITEBYTECODE: "1" }
})

/** Starts the process for the life of the scope. */
export const open = (command: Command): Effect.Effect<Engine, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => start(command)),
      ({ process }) => Effect.sync(() => void process.kill("SIGKILL"))
    ),
    ({ ask }) => ({ name: command.name, ask })
  )

const start = (command: Command): { readonly process: ChildProcess; readonly ask: Engine["ask"] } => {
  const child = spawn(command.program, command.arguments, {
    env: { ...process.env, ...command.environment },
    stdio: ["pipe", "pipe", "pipe"]
  })
  let ended: string | undefined
  let waiting: ((line: string | undefined) => void) | undefined
  let errors = ""
  child.stderr.on("data", (chunk) => (errors = `${errors}${chunk}`.slice(-4000)))
  child.stdin.on("error", (cause) => (ended ??= cause.message))
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line.startsWith("{")) waiting?.(line)
  })
  child.on("error", (cause) => {
    ended = cause.message
    waiting?.(undefined)
  })
  child.on("close", (code, signal) => {
    ended ??= `ended with ${signal ?? `status ${code}`}\n${errors}`
    waiting?.(undefined)
  })
  const ask: Engine["ask"] = (request) =>
    Effect.callback((resume) => {
      waiting = (line) => {
        waiting = undefined
        resume(
          line === undefined
            ? Effect.fail(new EngineFailed({ engine: command.name, problem: ended ?? "ended" }))
            : Effect.succeed(JSON.parse(line))
        )
      }
      if (ended === undefined) child.stdin.write(`${JSON.stringify(request)}\n`)
      else waiting(undefined)
    })
  return { process: child, ask }
}
