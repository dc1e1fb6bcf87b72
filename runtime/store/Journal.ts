/**
 * A run's journal: `<store>/runs/<run>/journal.jsonl`, one event a line. It is the only record of a run; whatever is
 * shown of a run is read from it.
 */
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import { Clock, Effect, Option, Result, Schema, type Scope } from "effect"
import { brief } from "../../dsl/internal/brief.ts"
import type * as Json from "../../dsl/Json.ts"
import * as Layout from "./internal/layout.ts"
import * as Lines from "./internal/lines.ts"
import { type NodeFinished, type Reported, RunEvent, RunFinished, RunId, RunStarted } from "./RunEvent.ts"

export type { Reported, RunEvent } from "./RunEvent.ts"

/** A text given as a run's id that is none. */
export class RunIdInvalid extends Schema.TaggedError<RunIdInvalid>()("RunIdInvalid", { run: Schema.String }) {
  override get message() {
    return `${JSON.stringify(this.run)} is no run id; one looks like 20260131-174500-0a1b2c`
  }
}

/** No such run in the store. */
export class RunUnknown extends Schema.TaggedError<RunUnknown>()("RunUnknown", {
  run: Schema.String,
  root: Schema.String,
  newest: Schema.Array(Schema.String)
}) {
  override get message() {
    const known = this.newest.length === 0 ? "it has no runs" : `its newest are ${this.newest.join(", ")}`
    return `there is no run ${this.run} in ${this.root}; ${known}`
  }
}

/** A line of a journal, other than a torn last one, that is no event. */
export class JournalDamaged extends Schema.TaggedError<JournalDamaged>()("JournalDamaged", {
  run: Schema.String,
  line: Schema.Int,
  problem: Schema.String
}) {
  override get message() {
    return `the journal of run ${this.run} is damaged: line ${this.line}: ${brief(this.problem)}`
  }
}

/** A journal could not be written or read. */
export class JournalFailed extends Schema.TaggedError<JournalFailed>()("JournalFailed", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.path}: ${this.problem}`
  }
}

export interface Journal {
  readonly run: string
  /** Ends when the event is written: a process that is killed after that has not lost it. Order is kept. */
  readonly append: (event: Reported) => Effect.Effect<void, JournalFailed>
}

/** One run at a glance. */
export interface Summary {
  readonly run: string
  readonly pipeline: string
  readonly params: Json.JsonObject
  readonly at: string
  readonly nodes: number
  /** `unfinished`: it still runs, or its process died. `damaged`: its journal's beginning cannot be read. */
  readonly status: (typeof RunFinished.Type)["status"] | "unfinished" | "damaged"
  readonly ms: number | undefined
}

/** All that a journal says of a run, gathered. */
export interface Record extends Omit<typeof RunStarted.Type, "_tag"> {
  /** By node; where a node was finished more than once, the last time. */
  readonly finished: ReadonlyMap<string, typeof NodeFinished.Type>
  readonly status: Summary["status"]
}

/**
 * Begins a run's journal, or goes on with that of `run`. One process writes a journal; the scope's end syncs and closes
 * it. An interrupted `append` may or may not have been written.
 */
export const open = Effect.fn("Journal.open")(function* (
  root: string,
  run?: string
): Effect.fn.Return<Journal, JournalFailed | RunIdInvalid, Scope.Scope> {
  const id = run === undefined ? yield* reserve(root) : yield* validated(run)
  const path = pathOf(root, id)
  const lines = yield* Lines.open(path).pipe(Effect.mapError(failed(path)))
  const append = Effect.fnUntraced(function* (event: Reported) {
    const at = new Date(yield* Clock.currentTimeMillis).toISOString()
    const { _tag, ...rest } = event
    const line = JSON.stringify({ _tag, at, ...rest })
    yield* lines.append(line).pipe(Effect.mapError(failed(path)))
  })
  return { run: id, append }
})

/** Every event of a run, in order. A torn last line, the trace of a killed process, is left out. */
export const read = Effect.fn("Journal.read")(function* (root: string, run: string) {
  const path = pathOf(root, yield* validated(run))
  const text = yield* attempt(path, () => Layout.readIfThere(path)?.toString("utf8"))
  if (text === undefined) {
    return yield* new RunUnknown({ run, root, newest: (yield* runIds(root)).slice(0, 3) })
  }
  const lines = text.split("\n")
  lines.pop() // what follows the last line's end: nothing, or a torn line
  const events: Array<RunEvent> = []
  for (const [i, line] of lines.entries()) {
    const event = decodeEvent(line)
    if (Result.isFailure(event)) return yield* new JournalDamaged({ run, line: i + 1, problem: event.failure.message })
    events.push(event.success)
  }
  return events
})

/** Reads a run's journal and gathers what it says. */
export const summarize = Effect.fn("Journal.summarize")(function* (root: string, run: string) {
  const events = yield* read(root, run)
  const started = events.find((event) => event._tag === "RunStarted")
  if (started === undefined)
    return yield* new JournalDamaged({ run, line: 1, problem: "it does not say what was started" })
  const { _tag, ...about } = started
  const status = events.findLast((event) => event._tag === "RunFinished")?.status ?? "unfinished"
  const finished = new Map(
    events.flatMap((event) => (event._tag === "NodeFinished" ? [[event.node, event] as const] : []))
  )
  return { ...about, finished, status } as Record
})

/** The runs of a store, newest first. A run whose first event was never written is none. */
export const list = Effect.fn("Journal.list")(function* (root: string) {
  const summaries: Array<Summary> = []
  for (const run of yield* runIds(root)) {
    const summary = yield* glance(root, run)
    if (Option.isSome(summary)) summaries.push(summary.value)
  }
  // Ids of one second are in no order; the events' times are.
  return summaries.sort((a, b) => (a.at === b.at ? (a.run < b.run ? 1 : -1) : a.at < b.at ? 1 : -1))
})

/**
 * For every node that some run of the pipeline finished, the key under which that last happened. Runs whose journals are
 * damaged do not count.
 */
export const lastKeys = Effect.fn("Journal.lastKeys")(function* (root: string, pipeline: string) {
  const keys = new Map<string, string>()
  for (const summary of yield* list(root)) {
    if (summary.pipeline !== pipeline) continue
    const finished = yield* summarize(root, summary.run).pipe(
      Effect.map((record) => record.finished),
      Effect.catchTag("JournalDamaged", () => Effect.succeed<Record["finished"]>(new Map()))
    )
    for (const [node, { key }] of finished) if (!keys.has(node)) keys.set(node, key)
    if (finished.size >= summary.nodes) break
  }
  return keys as ReadonlyMap<string, string>
})

const decodeEvent = Schema.decodeUnknownResult(Schema.fromJsonString(RunEvent))
const decodeFirst = Schema.decodeUnknownResult(Schema.fromJsonString(RunStarted))
const decodeLast = Schema.decodeUnknownOption(Schema.fromJsonString(RunFinished))

const pathOf = (root: string, run: string) => `${root}/runs/${run}/journal.jsonl`

const failed = (path: string) => (cause: unknown) => new JournalFailed({ path, problem: Layout.problemOf(cause) })

const attempt = <A>(path: string, use: () => A) => Effect.try({ try: use, catch: failed(path) })

const validated = (run: string) =>
  Schema.is(RunId)(run) ? Effect.succeed(run) : Effect.fail(new RunIdInvalid({ run }))

/** Newest first, by the second. */
const runIds = (root: string) =>
  attempt(`${root}/runs`, () =>
    (Layout.ifThere(() => Fs.readdirSync(`${root}/runs`)) ?? []).filter(Schema.is(RunId)).sort().reverse()
  )

let reserved = 0

/** Makes the folder of a new run, which makes its id nobody else's. */
const reserve = Effect.fnUntraced(function* (root: string) {
  const now = new Date(yield* Clock.currentTimeMillis).toISOString()
  const time = now.slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-")
  return yield* attempt(`${root}/runs`, () => {
    Fs.mkdirSync(`${root}/runs`, { recursive: true })
    while (true) {
      const salt = `${Os.hostname()} ${process.pid} ${process.hrtime.bigint()} ${reserved++}`
      const run = `${time}-${createHash("sha256").update(salt).digest("hex").slice(0, 6)}`
      try {
        Fs.mkdirSync(`${root}/runs/${run}`)
        return run
      } catch (cause) {
        if (Layout.codeOf(cause) !== "EEXIST") throw cause
      }
    }
  })
})

/** From a journal's first and last lines, so that a list of runs does not read all that ever happened. */
const glance = Effect.fnUntraced(function* (root: string, run: string) {
  const path = pathOf(root, run)
  const ends = yield* attempt(path, () => Layout.ifThere(() => firstAndLastLine(path)))
  if (ends === undefined || ends.first === undefined) return Option.none<Summary>()
  const started = decodeFirst(ends.first)
  if (Result.isFailure(started)) {
    const nothing = { pipeline: "", params: {}, at: timeIn(run), nodes: 0, ms: undefined }
    return Option.some<Summary>({ run, ...nothing, status: "damaged" })
  }
  const finished = decodeLast(ends.last)
  const { at, nodes, params, pipeline } = started.success
  return Option.some<Summary>({
    run,
    pipeline,
    params,
    at,
    nodes: nodes.length,
    status: Option.isSome(finished) ? finished.value.status : "unfinished",
    ms: Option.isSome(finished) ? finished.value.ms : undefined
  })
})

/** The second that a run's id begins with, as an ISO time. */
const timeIn = (run: string): string => {
  const [, year, month, day, hour, minute, second] = /^(....)(..)(..)-(..)(..)(..)/.exec(run)!
  return `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`
}

const firstAndLastLine = (path: string): { readonly first: string | undefined; readonly last: string } => {
  const fd = Fs.openSync(path, "r")
  try {
    const { size } = Fs.fstatSync(fd)
    const pieces: Array<Buffer> = []
    for (let at = 0; at < size; ) {
      const piece = Buffer.alloc(64 * 1024)
      const read = Fs.readSync(fd, piece, 0, piece.length, at)
      if (read === 0) break
      const newline = piece.subarray(0, read).indexOf(10)
      pieces.push(piece.subarray(0, newline < 0 ? read : newline))
      if (newline >= 0) return { first: Buffer.concat(pieces).toString("utf8"), last: lastLine(fd, size) }
      at += read
    }
    return { first: undefined, last: "" }
  } finally {
    Fs.closeSync(fd)
  }
}

/** The last whole line if it is a short one, as that of `RunFinished` is. */
const lastLine = (fd: number, size: number): string => {
  const tail = Buffer.alloc(Math.min(size, 4096))
  const read = Fs.readSync(fd, tail, 0, tail.length, size - tail.length)
  return tail.toString("utf8", 0, read).split("\n").at(-2) ?? ""
}
