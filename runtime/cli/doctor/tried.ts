/** Tries a device in a process of its own: whatever it does there, the caller lives on. */
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect, Schema } from "effect"
import { Kind, Numerics } from "../../device/Device.ts"

/** What the process says: the device computed the right values, or why not. */
export const Report = Schema.Union([
  Schema.Struct({
    works: Schema.Literal(true),
    kind: Kind,
    numerics: Numerics,
    details: Schema.Record(Schema.String, Schema.String)
  }),
  Schema.Struct({ works: Schema.Literal(false), reason: Schema.String })
])
export type Report = typeof Report.Type

export interface Options {
  /** Seconds until the process is ended. */
  readonly limit: number
  /** The module that the process runs. */
  readonly child?: string
}

const CHILD = fileURLToPath(new URL("./child.ts", import.meta.url))
/** How much of its last words is told of a process that broke down. */
const LAST_WORDS = 500

/** Never fails: a process that crashes, says nothing or does not end is a device that does not work. */
export const tryDevice = (device: string, { child = CHILD, limit }: Options): Effect.Effect<Report> =>
  Effect.suspend(() => {
    let report: Report | undefined
    const ended = Effect.callback<Report>((resume) => {
      let stderr = ""
      const started = fork(child, [device], { execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] })
      started.stderr!.setEncoding("utf8").on("data", (text) => {
        stderr = (stderr + text).slice(-LAST_WORDS)
      })
      started.on("message", (message) => {
        report = Schema.is(Report)(message) ? message : broken("its process said what `doctor` does not understand")
      })
      started.once("error", (cause) => resume(Effect.succeed(broken(`its process could not run: ${cause.message}`))))
      started.once("close", (code, signal) => {
        const how = signal === null ? `with status ${code}` : `by ${signal}`
        const words = stderr.trim() === "" ? "" : `: ${stderr.trim()}`
        const crash = broken(
          `its process ended ${how} ${report ? "after its answer" : "and without an answer"}${words}`
        )
        resume(Effect.succeed(report !== undefined && (code === 0 || !report.works) ? report : crash))
      })
      return Effect.sync(() => started.kill("SIGKILL"))
    })
    const late = Effect.sync(() => {
      if (report === undefined) return broken(`it gave no answer within ${limit} s`)
      return report.works ? broken(`it computes, but its process did not end within ${limit} s`) : report
    })
    return Effect.timeoutOrElse(ended, { duration: `${limit} seconds`, orElse: () => late })
  })

const broken = (reason: string): Report => ({ works: false, reason })
