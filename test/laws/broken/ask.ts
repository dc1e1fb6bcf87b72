/** A worker that is started when it is asked, and anew where it hangs or dies. */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Answer, Question } from "./worker.ts"

const WORKER = fileURLToPath(new URL("worker.ts", import.meta.url))
/** Questions after which a worker is replaced: modules that were loaded are never let go. */
const QUESTIONS = 1500
/** Milliseconds within which a worker has to start. */
const START = 120_000

export interface Asked {
  /** Starts it beforehand. */
  readonly ready: () => Promise<unknown>
  /** `undefined` where there was no answer within the time. */
  readonly ask: (question: Question | "subjects", milliseconds: number) => Promise<Answer | undefined>
  readonly stop: () => void
}

export const make = (): Asked => {
  let child: ChildProcess | undefined
  let asked = 0
  const stop = () => {
    child?.kill("SIGKILL")
    child = undefined
  }
  const next = (from: ChildProcess, milliseconds: number) =>
    new Promise<unknown>((resolve) => {
      const done = (value: unknown) => {
        clearTimeout(timer)
        from.removeAllListeners("message")
        from.removeAllListeners("exit")
        resolve(value)
      }
      const timer = setTimeout(() => done(undefined), milliseconds)
      from.once("message", done)
      from.once("exit", () => done(undefined))
    })
  const ready = async (): Promise<ChildProcess> => {
    if (child !== undefined) return child
    const started = fork(WORKER, {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      execArgv: [],
      env: { ...process.env, PREFLINE_THREADS: "1" }
    })
    child = started
    let errors = ""
    started.stderr!.on("data", (text) => {
      errors += text
    })
    if ((await next(started, START)) === "ready") return started
    stop()
    throw new Error(`the worker does not start: ${errors}`)
  }
  const ask: Asked["ask"] = async (question, milliseconds) => {
    if (asked++ % QUESTIONS === QUESTIONS - 1) stop()
    const worker = await ready()
    worker.send(question)
    const answer = await next(worker, milliseconds)
    if (answer === undefined) stop()
    return answer as Answer | undefined
  }
  return { ready, ask, stop }
}
