/** What a run measured, as rows: the logs of its trainings by step, under TRL's names, and its evaluations. */
import { Effect, Schema, Stream } from "effect"
import type { FileSource } from "../../dsl/Artifact.ts"
import { EvaluationReport } from "../../dsl/artifacts.ts"
import type { ArtifactRef } from "../store/ArtifactRef.ts"
import { Store } from "../store/Store.ts"

/** One number. `step` where it comes of a training's log; the interval and the count where it is an estimate. */
export interface Metric {
  readonly node: string
  readonly name: string
  readonly step: number | undefined
  readonly value: number
  readonly low?: number
  readonly high?: number
  readonly count?: number
  /** When it was measured, in seconds since 1970: within a training evenly over the time that it took. */
  readonly wallTime: number
}

/** A node that has finished, as the journal tells. */
export interface Finished {
  readonly node: string
  readonly output: ArtifactRef
  /** When, ISO 8601. */
  readonly at: string
  readonly ms: number
}

/** A checkpoint's log is not what a trainer writes. */
export class LogInvalid extends Schema.TaggedError<LogInvalid>()("LogInvalid", {
  node: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `the training log of ${this.node}: ${this.problem}`
  }
}

const TrainerState = Schema.fromJsonString(
  Schema.Struct({
    max_steps: Schema.optionalKey(Schema.Finite),
    log_history: Schema.Array(Schema.Record(Schema.String, Schema.Json))
  })
)

/** All metrics of the nodes, in the nodes' order, logs by step. */
export const ofNodes = Effect.fn("metrics.ofNodes")(function* (nodes: ReadonlyArray<Finished>) {
  const store = yield* Store
  const metrics: Array<Metric> = []
  for (const { at, ms, node, output } of nodes) {
    const end = Date.parse(at) / 1000
    if (output.artifact === EvaluationReport.name) {
      const { estimates } = yield* store.read(EvaluationReport, output)
      for (const [name, { count, high, low, mean }] of Object.entries(estimates))
        metrics.push({ node, name, step: undefined, value: mean, low, high, count, wallTime: end })
    }
    const files = store.open(output)
    if (files.names.includes("trainer_state.json")) {
      const { log_history: log, max_steps: steps } = yield* trainerState(node, files)
      const last = Math.max(1, steps ?? 0, ...log.map((entry) => Number(entry["step"] ?? 0)))
      for (const { step, ...values } of log) {
        if (typeof step !== "number") return yield* new LogInvalid({ node, problem: "an entry has no step" })
        const wallTime = end - (ms / 1000) * (1 - step / last)
        for (const [name, value] of Object.entries(values))
          if (typeof value === "number") metrics.push({ node, name, step, value, wallTime })
      }
    }
  }
  return metrics as ReadonlyArray<Metric>
})

const trainerState = (node: string, files: FileSource) =>
  files.open("trainer_state.json").pipe(
    Stream.decodeText(),
    Stream.mkString,
    Effect.flatMap((text) =>
      Schema.decodeUnknownEffect(TrainerState)(text).pipe(
        Effect.mapError(({ message }) => new LogInvalid({ node, problem: message }))
      )
    )
  )

const COLUMNS = ["node", "step", "metric", "value", "low", "high", "count"]

/** One metric a line (RFC 4180, lines end with CRLF). Numbers as ECMAScript prints them: they read back exactly. */
export const toCsv = (metrics: ReadonlyArray<Metric>): string =>
  [
    COLUMNS,
    ...metrics.map(({ count, high, low, name, node, step, value }) => [node, step, name, value, low, high, count])
  ]
    .map((row) => `${row.map(csvField).join(",")}\r\n`)
    .join("")

const csvField = (value: string | number | undefined): string => {
  const text = value === undefined ? "" : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
