/**
 * Removes what no kept run and no pin reaches: entries, objects, journals of runs that are not to be kept, partial states
 * and quarantined files that nobody came back for. Other processes may use the store meanwhile, and it may be killed at
 * any moment. How:
 *
 * 1. Whoever is told that an entry or an object is there has touched it first; nothing touched in the last hours goes.
 * 2. What is to go is moved to `trash/` before it is deleted, and its times are looked at again there: a touch that came
 *    in between shows, and it is put back. Readers that do not find an object look into the trash.
 * 3. Entries are moved before any object is, and deleted before any object is: none that is in force points at nothing.
 * 4. Trash that a killed collection left is put back by the next one, which then decides anew.
 */
import * as Fs from "node:fs"
import { Clock, Effect, Exit, Option, Schema } from "effect"
import * as Action from "./Action.ts"
import { held } from "./internal/gcLock.ts"
import * as Layout from "./internal/layout.ts"
import * as Trash from "./internal/trash.ts"
import * as Journal from "./Journal.ts"
import * as Pins from "./Pins.ts"
import * as ProgressLog from "./ProgressLog.ts"
import { RunId } from "./RunEvent.ts"
import { Store } from "./Store.ts"

const HOUR = 60 * 60 * 1000
const DAY = 24 * HOUR

export interface Options {
  /** Looks, and removes nothing. */
  readonly dryRun?: boolean
  /** The newest so many runs of every pipeline stay. Without this and `olderThan` all runs do. */
  readonly keepRuns?: number
  /** Runs younger than so many milliseconds stay. */
  readonly olderThan?: number
  /** Nothing that was used in the last so many milliseconds goes (6 hours): longer than any node takes to be journaled. */
  readonly grace?: number
}

export const GRACE = 6 * HOUR
/** Partial states and quarantined files go when they are so old; partial states of finished keys after the grace. */
export const STALE = 30 * DAY
/** A run whose process cannot be asked, for it is on another machine, counts as running for so long after its last word. */
const SILENCE = 7 * DAY

interface Amount {
  readonly count: number
  readonly bytes: number
}

/** What was removed, or with `dryRun` would be. */
export interface Collected {
  readonly dryRun: boolean
  readonly runs: ReadonlyArray<{ readonly run: string; readonly pipeline: string; readonly bytes: number }>
  readonly actions: Amount
  readonly objects: Amount
  readonly partials: Amount
  readonly quarantined: Amount
  readonly kept: { readonly runs: number; readonly actions: Amount; readonly objects: Amount }
}

/** Collects the store's garbage. One process at a time: another fails with `GcRunning`. */
export const collect = Effect.fn("Gc.collect")(function* (options: Options = {}) {
  const layout = Layout.make((yield* Store).root)
  const now = yield* Clock.currentTimeMillis
  if (options.dryRun === true) return yield* sweep(layout, options, now)
  return yield* Effect.scoped(
    Effect.gen(function* () {
      yield* held(layout, now)
      const restored = Layout.writing(layout, `${layout.root}/trash`, () => restore(layout))
      yield* restored
      return yield* sweep(layout, options, now).pipe(
        Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Effect.ignore(restored)))
      )
    })
  )
})

const sweep = Effect.fnUntraced(function* (layout: Layout.Layout, options: Options, now: number) {
  const { root } = layout
  const dry = options.dryRun === true
  const grace = options.grace ?? GRACE
  const isOld = (file: Found, age = grace) => now - file.mtimeMs > age
  const attempt = <A>(use: () => A) => Layout.writing(layout, root, use)

  const pins = yield* Pins.list(root)
  const judged = yield* judgeRuns(layout, options, now, pins)
  const reached = new Set(pins.flatMap(({ pinned }) => (pinned.kind === "artifact" ? digestsOf(pinned.ref) : [])))
  const pinned = new Set(pins.flatMap(({ pinned }) => (pinned.kind === "artifact" ? [pinned.ref.digest] : [])))
  for (const { run } of judged.filter(({ keep }) => keep))
    for (const digest of yield* attempt(() => digestsIn(`${root}/runs/${run}/journal.jsonl`))) reached.add(digest)
  const dead = judged.filter(({ keep }) => !keep)
  if (!dry) for (const { run } of dead) yield* attempt(() => move(`${root}/runs/${run}`, Trash.runIn(root, run)))

  const actions = yield* eachFolder(layout, "actions", /^([0-9a-f]{62})\.json$/, (key, found) => {
    const keep = () => {
      for (const digest of digestsIn(found.path)) reached.add(digest)
      return true
    }
    if (reached.has(key) || isPinned(pinned, key, found.path)) return keep()
    return (dry ? !isOld(found) : !takenAway(found, Trash.actionIn(root, key), isOld)) && keep()
  })
  const objects = yield* eachFolder(layout, "objects", /^([0-9a-f]{62})$/, (digest, found) => {
    if (reached.has(digest)) return true
    return dry ? !isOld(found) : !takenAway(found, Trash.objectIn(root, digest), isOld)
  })
  const partials = yield* attempt(() =>
    filesIn(`${root}/partial`).filter(
      (file) =>
        isOld(file, STALE) ||
        (isOld(file) && /^[0-9a-f]{64}$/.test(file.name) && Fs.existsSync(layout.action(file.name)))
    )
  )
  const quarantined = yield* attempt(() => filesIn(`${root}/quarantine`).filter((file) => isOld(file, STALE)))
  if (!dry) {
    yield* attempt(() => {
      for (const { path } of [...partials, ...quarantined]) Layout.removeIfThere(path)
      empty(layout)
    })
  }
  const collected: Collected = {
    dryRun: dry,
    runs: dead.map(({ bytes, pipeline, run }) => ({ run, pipeline, bytes })),
    actions: actions.gone,
    objects: objects.gone,
    partials: amountOf(partials),
    quarantined: amountOf(quarantined),
    kept: { runs: judged.length - dead.length, actions: actions.kept, objects: objects.kept }
  }
  return collected
})

interface Found {
  readonly path: string
  readonly name: string
  readonly mtimeMs: number
  readonly bytes: number
}

interface Judged {
  readonly run: string
  readonly pipeline: string
  readonly bytes: number
  readonly keep: boolean
}

/** Which runs stay: pinned, running, used in the last hours, or kept by what was asked for. */
const judgeRuns = Effect.fnUntraced(function* (
  layout: Layout.Layout,
  { grace = GRACE, keepRuns, olderThan }: Options,
  now: number,
  pins: ReadonlyArray<Pins.Pin>
) {
  const { root } = layout
  const pinned = new Set(pins.flatMap(({ pinned }) => (pinned.kind === "run" ? [pinned.run] : [])))
  const summaries = new Map((yield* Journal.list(root)).map((summary) => [summary.run, summary]))
  const rank = new Map<string, number>()
  const places = new Map<string, number>()
  for (const { pipeline, run } of summaries.values()) {
    places.set(run, rank.get(pipeline) ?? 0)
    rank.set(pipeline, (rank.get(pipeline) ?? 0) + 1)
  }
  const names = yield* Layout.writing(layout, `${root}/runs`, () =>
    (Layout.ifThere(() => Fs.readdirSync(`${root}/runs`)) ?? []).filter(Schema.is(RunId))
  )
  return yield* Effect.forEach(names, (run) =>
    Layout.writing(layout, `${root}/runs/${run}`, (): Judged => {
      const files = filesIn(`${root}/runs/${run}`)
      const lastWord = Math.max(statOf(`${root}/runs/${run}`)?.mtimeMs ?? now, ...files.map(({ mtimeMs }) => mtimeMs))
      const summary = summaries.get(run)
      const begun = summary === undefined ? Number.NaN : Date.parse(summary.at)
      const owner = ProgressLog.ownerOf(root, run)
      const alive = Option.isSome(owner) ? ProgressLog.isAlive(owner.value) : undefined
      const ended = summary !== undefined && summary.status !== "unfinished"
      const mayRun = alive === true || (alive === undefined && !ended && now - lastWord <= SILENCE)
      const policy = keepRuns === undefined && olderThan === undefined
      const among = keepRuns !== undefined && (places.get(run) ?? 0) < keepRuns
      const young = olderThan !== undefined && now - (Number.isNaN(begun) ? lastWord : begun) <= olderThan
      const keep = pinned.has(run) || mayRun || now - lastWord <= grace || policy || among || young
      return { run, pipeline: summary?.pipeline ?? "", bytes: amountOf(files).bytes, keep }
    })
  )
})

/** Everything in a text that looks like a digest: more than what is needed, so that damage makes nobody lose anything. */
const digestsIn = (path: string): ReadonlyArray<string> =>
  Layout.readIfThere(path)
    ?.toString("latin1")
    .match(/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g) ?? []

const digestsOf = ({ files }: Action.Action["output"]) => files.map(({ digest }) => digest)

const isPinned = (pinned: ReadonlySet<string>, key: string, path: string): boolean => {
  if (pinned.size === 0) return false
  const action = Action.fromText(key, Layout.readIfThere(path)?.toString("utf8") ?? "")
  return Option.isSome(action) && pinned.has(action.value.output.digest)
}

/** Moves a file to the trash unless it is young, or turns out to have been touched before it was moved. */
const takenAway = (found: Found, trashed: string, isOld: (file: Found) => boolean): boolean => {
  if (!isOld(found) || !move(found.path, trashed)) return false
  const moved = statOf(trashed)
  if (moved === undefined) return false // a reader has brought it back
  if (isOld({ ...found, mtimeMs: moved.mtimeMs })) return true
  Trash.putBack(trashed, found.path)
  return false
}

const move = (from: string, to: string): boolean =>
  Layout.ifThere(() => {
    Layout.withFolder(to, () => Fs.renameSync(from, to))
    return true
  }) ?? false

/** Goes through a fanned-out folder; `keeps` is asked of every file. */
const eachFolder = Effect.fnUntraced(function* (
  layout: Layout.Layout,
  folder: "actions" | "objects",
  pattern: RegExp,
  keeps: (digest: string, found: Found) => boolean
) {
  const sums = { kept: { count: 0, bytes: 0 }, gone: { count: 0, bytes: 0 } }
  const top = `${layout.root}/${folder}`
  const names = yield* Layout.writing(layout, top, () => Layout.ifThere(() => Fs.readdirSync(top)) ?? [])
  for (const fan of names.filter((name) => /^[0-9a-f]{2}$/.test(name))) {
    yield* Layout.writing(layout, `${top}/${fan}`, () => {
      for (const found of filesIn(`${top}/${fan}`)) {
        const rest = pattern.exec(found.name)?.[1]
        if (rest === undefined) continue
        const sum = keeps(fan + rest, found) ? sums.kept : sums.gone
        sum.count++
        sum.bytes += found.bytes
      }
    })
    yield* Effect.yieldNow // an interruption is heard between folders
  }
  return sums as { readonly kept: Amount; readonly gone: Amount }
})

const filesIn = (folder: string): ReadonlyArray<Found> =>
  (Layout.ifThere(() => Fs.readdirSync(folder)) ?? []).flatMap((name) => {
    const path = `${folder}/${name}`
    const stats = statOf(path)
    return stats?.isFile() ? [{ path, name, mtimeMs: stats.mtimeMs, bytes: stats.size }] : []
  })

const statOf = (path: string) => Layout.ifThere(() => Fs.lstatSync(path))

const amountOf = (files: ReadonlyArray<Found>): Amount => ({
  count: files.length,
  bytes: files.reduce((total, { bytes }) => total + bytes, 0)
})

/** Runs, then entries, then objects: killed in between, nothing in force points at what is gone. */
const empty = ({ root }: Layout.Layout) => {
  const names = trashOf(root)
  for (const kind of ["run-", "action-", "object-"])
    for (const name of names.filter((name) => name.startsWith(kind)))
      Fs.rmSync(`${root}/trash/${name}`, { recursive: true, force: true })
  Layout.ifThere(() => Fs.rmSync(`${root}/trash`, { recursive: true, force: true }))
}

/** Puts back what a collection that did not end had taken away: objects first, so that their entries find them. */
const restore = (layout: Layout.Layout) => {
  const { root } = layout
  const names = trashOf(root)
  const each = (kind: string, put: (trashed: string, rest: string) => void) => {
    for (const name of names.filter((name) => name.startsWith(kind)))
      put(`${root}/trash/${name}`, name.slice(kind.length))
  }
  each("object-", (trashed, digest) => Trash.putBack(trashed, layout.object(digest)))
  each("action-", (trashed, key) => Trash.putBack(trashed, layout.action(key)))
  each("run-", (trashed, run) => {
    if (!Fs.existsSync(`${root}/runs/${run}`)) move(trashed, `${root}/runs/${run}`)
  })
}

const trashOf = (root: string) => Layout.ifThere(() => Fs.readdirSync(`${root}/trash`)) ?? []
