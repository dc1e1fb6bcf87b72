/**
 * Follows a run that another process may be writing: what its journal and its progress log say from some place on, and
 * what became of it. Places are byte offsets, so that whoever comes back goes on exactly where they were.
 */
import * as Fs from "node:fs"
import { Effect, Option, Result, Schema, Stream } from "effect"
import * as Layout from "../store/internal/layout.ts"
import * as Journal from "../store/Journal.ts"
import * as ProgressLog from "../store/ProgressLog.ts"
import { RunEvent } from "../store/RunEvent.ts"

/** How far both files were read: bytes, up to the end of a line. */
export interface Place {
  readonly journal: number
  readonly progress: number
}

export const START: Place = { journal: 0, progress: 0 }

/** `running`: its process is alive; `stopped`: it is not, and never said how the run ended; `unfinished`: not known. */
export type Status = "running" | "stopped" | Journal.Summary["status"]

/** What was new since a place. */
export interface News {
  readonly events: ReadonlyArray<RunEvent>
  readonly points: ReadonlyArray<ProgressLog.Point>
  readonly status: Status
  readonly place: Place
}

export const toText = ({ journal, progress }: Place): string => `${journal}.${progress}`

/** Reads a place back; anything else is the start. */
export const fromText = (text: string | undefined): Place => {
  const [, journal, progress] = /^(\d{1,15})\.(\d{1,15})$/.exec(text ?? "") ?? []
  return journal === undefined ? START : { journal: Number(journal), progress: Number(progress) }
}

const decodeEvent = Schema.decodeUnknownResult(Schema.fromJsonString(RunEvent))

/** What is new of a run since a place. Lines that say nothing are left out; a place that is none counts as the start. */
export const since = (root: string, run: string, from: Place): Effect.Effect<News, Journal.JournalFailed> => {
  const path = `${root}/runs/${run}/journal.jsonl`
  return Effect.try({
    try: () => {
      const before = statusOf(root, run, path)
      // In this order: once the journal holds the end, all points are there too.
      const journal = linesAfter(path, from.journal)
      const progress = linesAfter(ProgressLog.pathOf(root, run), from.progress)
      const events = journal.lines.flatMap((line) => {
        const event = decodeEvent(line)
        return Result.isSuccess(event) ? [event.success] : []
      })
      const points = progress.lines.flatMap((line) => {
        const point = ProgressLog.decodeLine(line)
        return Option.isSome(point) && point.value._tag === "Point" ? [point.value] : []
      })
      const status = events.findLast((event) => event._tag === "RunFinished")?.status ?? before
      return { events, points, status, place: { journal: journal.end, progress: progress.end } }
    },
    catch: (cause) => new Journal.JournalFailed({ path, problem: Layout.problemOf(cause) })
  })
}

/** Milliseconds between two looks at the files. */
const EVERY = "250 millis"

/**
 * News of a run as they come, the first at once, the last with the run's end. While nothing happens an empty one comes now
 * and then, by which a reader that went away is noticed.
 */
export const follow = (root: string, run: string, from: Place): Stream.Stream<News, Journal.JournalFailed> => {
  let status: Status | undefined
  let idle = 0
  const look: (place: Place) => Effect.Effect<News, Journal.JournalFailed> = Effect.fnUntraced(function* (place) {
    while (true) {
      const news = yield* since(root, run, place)
      const isNew = news.events.length > 0 || news.points.length > 0 || news.status !== status
      if (isNew || ++idle === SILENT) {
        status = news.status
        idle = 0
        return news
      }
      yield* Effect.sleep(EVERY)
    }
  })
  return Stream.paginate(from, (place) =>
    Effect.map(
      look(place),
      (news) => [[news], hasEnded(news.status) ? Option.none() : Option.some(news.place)] as const
    )
  )
}

/** Looks without news after which an empty one is given all the same. */
const SILENT = 40

/** Whether nothing more will come. A stopped run may only seem so (a journal on a network), so it is followed on. */
export const hasEnded = (status: Status): boolean =>
  status === "succeeded" || status === "failed" || status === "interrupted"

const statusOf = (root: string, run: string, path: string): Status => {
  const ended = endOf(path)
  if (ended !== undefined) return ended.status
  const owner = ProgressLog.ownerOf(root, run)
  const alive = Option.isSome(owner) ? ProgressLog.isAlive(owner.value) : undefined
  if (alive !== false) return alive ? "running" : "unfinished"
  return endOf(path)?.status ?? "stopped" // it may have ended between the two looks
}

/** What a journal's last line says, if it is the run's end. */
const endOf = (path: string) => {
  const size = Layout.ifThere(() => Fs.statSync(path).size) ?? 0
  const last = linesAfter(path, Math.max(0, size - TAIL)).lines.at(-1)
  const event = last === undefined ? undefined : decodeEvent(last)
  return event !== undefined && Result.isSuccess(event) && event.success._tag === "RunFinished"
    ? event.success
    : undefined
}
/** More than the line of a run's end takes. */
const TAIL = 1024

/** The whole lines of a file after an offset, and where they end. An offset beyond the file counts as its start. */
const linesAfter = (path: string, offset: number): { readonly lines: ReadonlyArray<string>; readonly end: number } => {
  const fd = Layout.ifThere(() => Fs.openSync(path, "r"))
  if (fd === undefined) return { lines: [], end: 0 }
  try {
    const { size } = Fs.fstatSync(fd)
    const from = offset > size ? 0 : offset
    const bytes = Buffer.alloc(size - from)
    const read = Fs.readSync(fd, bytes, 0, bytes.length, from)
    const end = bytes.subarray(0, read).lastIndexOf(10) + 1
    if (end === 0) return { lines: [], end: from }
    return { lines: bytes.toString("utf8", 0, end - 1).split("\n"), end: from + end }
  } finally {
    Fs.closeSync(fd)
  }
}

/** What became of a run, by its files alone. */
export const statusNow = (root: string, run: string): Effect.Effect<Status, Journal.JournalFailed> => {
  const path = `${root}/runs/${run}/journal.jsonl`
  return Effect.try({
    try: () => statusOf(root, run, path),
    catch: (cause) => new Journal.JournalFailed({ path, problem: Layout.problemOf(cause) })
  })
}
