/**
 * What a run tells of itself while it goes on: `<store>/runs/<run>/progress.jsonl`, beside its journal. The first line
 * says which process runs it, the others how far its nodes are, so that other processes can show both. It is for people
 * only: nothing of it enters a key, a digest or a result, losing it loses nothing else, and a line that was torn by a
 * kill is left out by whoever reads.
 */
import * as Fs from "node:fs"
import { Clock, Effect, Option, Schema, type Scope } from "effect"
import type { Report } from "../../dsl/Progress.ts"
import * as Layout from "./internal/layout.ts"
import * as Lines from "./internal/lines.ts"

/** The process that runs a run, told from later ones with the same id by when it began. */
export const Owner = Schema.TaggedStruct("Owner", {
  host: Schema.String,
  pid: Schema.Int,
  /** Clock ticks from the machine's start to the process's; null where the system does not say. */
  began: Schema.NullOr(Schema.String)
})

/** How far a node was at a time (ISO 8601, UTC). */
export const Point = Schema.TaggedStruct("Point", {
  at: Schema.String,
  node: Schema.String,
  done: Schema.Finite,
  total: Schema.optionalKey(Schema.Finite),
  unit: Schema.String,
  tokens: Schema.optionalKey(Schema.Finite),
  metrics: Schema.Record(Schema.String, Schema.Finite)
})
export type Point = typeof Point.Type

export const Line = Schema.Union([Owner, Point])
export type Line = typeof Line.Type

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Line))

/** A line of the file; `None` for what is none. */
export const decodeLine = (text: string): Option.Option<Line> => decode(text)

export const pathOf = (root: string, run: string): string => `${root}/runs/${run}/progress.jsonl`

/** Least milliseconds between two lines of a node. */
const EVERY = 250
/** They grow apart as the node goes on, so that it writes some thousand lines, however long it takes. */
const SHARE = 1000

export interface ProgressLog {
  /** Writes a node's report if it is due: its first, its last, and at most a few a second between them. Never fails. */
  readonly note: (node: string, report: Report) => Effect.Effect<void>
}

/** Begins the log of a run, by this process. Where it cannot be written a warning says so once, and the run goes on. */
export const open = Effect.fnUntraced(function* (
  root: string,
  run: string
): Effect.fn.Return<ProgressLog, never, Scope.Scope> {
  const path = pathOf(root, run)
  let usable = true
  const giveUp = (cause: unknown) => {
    const told = usable
    usable = false
    return told ? Effect.logWarning(`progress is not kept: ${path}: ${Layout.problemOf(cause)}`) : Effect.void
  }
  const lines = yield* Effect.option(Effect.tapError(Lines.open(path), giveUp))
  if (Option.isNone(lines)) return { note: () => Effect.void }
  const append = (line: Line) => (usable ? Effect.catch(lines.value.append(JSON.stringify(line)), giveUp) : Effect.void)
  yield* append(thisProcess())

  const nodes = new Map<string, { readonly first: number; last: number }>()
  return {
    note: (node, report) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const before = nodes.get(node)
        if (before === undefined) nodes.set(node, { first: now, last: now })
        else {
          const pause = Math.max(EVERY, (now - before.first) / SHARE)
          if (now - before.last < pause && report.done !== report.total) return Effect.void
          before.last = now
        }
        return append(pointOf(node, report, now))
      })
  }
})

const pointOf = (node: string, { done, metrics, tokens, total, unit }: Report, now: number): Point => ({
  _tag: "Point",
  at: new Date(now).toISOString(),
  node,
  done,
  ...(total === undefined ? {} : { total }),
  unit,
  ...(tokens === undefined ? {} : { tokens }),
  metrics: Object.fromEntries(Object.entries(metrics ?? {}).filter(([, value]) => Number.isFinite(value)))
})

/** Whether the process that runs a run still does; `undefined` where that cannot be told from here. */
export const isAlive = (owner: typeof Owner.Type): boolean | undefined => {
  if (owner.host !== Layout.HOST) return undefined
  try {
    process.kill(owner.pid, 0)
  } catch (cause) {
    if (Layout.codeOf(cause) === "ESRCH") return false
  }
  return owner.began === startOf(owner.pid)
}

/** The process that runs a run, by its log's first line. */
export const ownerOf = (root: string, run: string): Option.Option<typeof Owner.Type> => {
  const fd = Layout.ifThere(() => Fs.openSync(pathOf(root, run), "r"))
  if (fd === undefined) return Option.none()
  try {
    const bytes = Buffer.alloc(FIRST_LINE)
    const read = Fs.readSync(fd, bytes, 0, bytes.length, 0)
    const end = bytes.subarray(0, read).indexOf(10)
    const first = end < 0 ? Option.none<Line>() : decodeLine(bytes.toString("utf8", 0, end))
    return Option.filter(first, (line) => line._tag === "Owner")
  } finally {
    Fs.closeSync(fd)
  }
}
/** More bytes than the owner's line takes. */
const FIRST_LINE = 512

const thisProcess = (): typeof Owner.Type => ({
  _tag: "Owner",
  host: Layout.HOST,
  pid: process.pid,
  began: startOf(process.pid)
})

/** Field 22 of Linux's account of a process; the name before it, in brackets, may hold anything. */
const startOf = (pid: number): string | null => {
  try {
    const text = Fs.readFileSync(`/proc/${pid}/stat`, "utf8")
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? null
  } catch {
    return null // not Linux, or gone: the id alone has to do
  }
}
