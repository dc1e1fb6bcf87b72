/** Opens a store's folder: makes it if need be, refuses what is no store, and clears what dead processes left. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Clock, Effect, Schema } from "effect"
import { StoreUnusable } from "../StoreError.ts"
import * as Layout from "./layout.ts"

/** Raised with every change of the layout or of an entry's form that older code would misread. */
export const VERSION = 1

const Format = Schema.fromJsonString(Schema.Struct({ format: Schema.Literal("prefline-store"), version: Schema.Int }))
const decodeFormat = Schema.decodeUnknownEffect(Format)

const DAY = 24 * 60 * 60 * 1000

export const open = Effect.fn("Store.open")(function* (path: string) {
  const root = Path.resolve(path)
  const unusable = (problem: string) => new StoreUnusable({ root, problem })
  const layout = Layout.make(root)
  const attempt = <A>(use: () => A) => Effect.try({ try: use, catch: (cause) => unusable(Layout.problemOf(cause)) })

  const there = yield* attempt(() => Layout.ifThere(() => Fs.statSync(root)))
  if (there !== undefined && !there.isDirectory()) {
    return yield* unusable("it is a file; give the path of a folder, existing or not")
  }
  yield* attempt(() => Fs.mkdirSync(root, { recursive: true }))
  const format = yield* attempt(() => Layout.readIfThere(`${root}/format.json`)?.toString("utf8"))
  if (format === undefined) {
    const ours = new Set<string>(FOLDERS_AND_FORMAT)
    const foreign = (yield* attempt(() => Fs.readdirSync(root))).filter((name) => !ours.has(name))
    if (foreign.length > 0) {
      return yield* unusable(`it holds other files (${foreign.slice(0, 3).join(", ")}); give an empty or a new folder`)
    }
  } else {
    const { version } = yield* decodeFormat(format).pipe(
      Effect.mapError(() => unusable(`its format.json is not that of a store: ${JSON.stringify(format.slice(0, 80))}`))
    )
    if (version > VERSION) {
      return yield* unusable(
        `it has format ${version}, this prefline knows formats up to ${VERSION}; use a newer prefline`
      )
    }
    if (version < VERSION)
      return yield* unusable(`it has format ${version}, which this prefline no longer reads; give another folder`)
  }
  yield* attempt(() => {
    for (const folder of Layout.FOLDERS) Fs.mkdirSync(`${root}/${folder}`, { recursive: true })
  })
  if (format === undefined) yield* attempt(() => writeFormat(layout))
  yield* attempt(() => probe(layout))
  yield* removeStale(layout)
  return layout
})

const FOLDERS_AND_FORMAT = [...Layout.FOLDERS, "format.json"]

const writeFormat = (layout: Layout.Layout) => {
  const temporary = layout.temporary()
  Fs.writeFileSync(temporary, `${JSON.stringify({ format: "prefline-store", version: VERSION })}\n`)
  Fs.renameSync(temporary, `${layout.root}/format.json`)
}

/** Finds out now, rather than after hours of training, whether the store takes what it will be asked to take. */
const probe = (layout: Layout.Layout) => {
  const temporary = layout.temporary()
  const linked = layout.temporary()
  try {
    Fs.writeFileSync(temporary, "")
    Fs.linkSync(temporary, linked) // entries are put in place by hard links: see `actions.ts`
  } finally {
    Layout.removeIfThere(linked)
    Layout.removeIfThere(temporary)
  }
}

/**
 * Removes temporary files whose process is dead, and, where that cannot be told from here (it may be on another machine),
 * those that nobody has written to for a day. A process still writing one of the latter would notice at its rename, as a
 * failed write. By process and not by age where it can be: the system's time may have jumped.
 */
const removeStale = Effect.fnUntraced(function* (layout: Layout.Layout) {
  const now = yield* Clock.currentTimeMillis
  const folder = `${layout.root}/tmp`
  const remove = (name: string) => {
    const path = `${folder}/${name}`
    const owner = Layout.ownerOf(path)
    const stats = Layout.ifThere(() => Fs.statSync(path))
    if (stats === undefined) return
    const isLeft = owner === undefined ? now - stats.mtimeMs > DAY : !isAlive(owner)
    if (isLeft) Layout.removeIfThere(path)
  }
  yield* Effect.try(() => Fs.readdirSync(folder).forEach(remove)).pipe(
    Effect.catch((error) => Effect.logWarning(`cannot clear ${folder}: ${Layout.problemOf(error.cause)}`))
  )
})

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return Layout.codeOf(cause) !== "ESRCH"
  }
}
