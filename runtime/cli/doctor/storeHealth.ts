/** The state of a store's files, looked at from outside: nothing has to be opened, so a broken store can be described. */
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Action from "../../store/Action.ts"
import * as Layout from "../../store/internal/layout.ts"

export interface StoreHealth {
  readonly runs: number
  readonly entries: number
  readonly objects: { readonly count: number; readonly bytes: number }
  /** How many objects were read and held against their digests. */
  readonly checked: number
  /** Digests of objects with other bytes. A deep look has moved them to the quarantine. */
  readonly damaged: ReadonlyArray<string>
  /** Entries that cannot be read or whose objects are gone: their nodes are computed again. Null unless deep. */
  readonly unusableEntries: number | null
  readonly partials: { readonly count: number; readonly bytes: number }
  readonly quarantined: number
  readonly temporaries: number
  /** Left by a collection that was killed; the next `gc` puts it back and decides anew. */
  readonly trash: number
}

/** So many objects, spread evenly, are read unless all are to be; larger ones than this are left to a deep look. */
const SAMPLE = 200
const SMALL = 1e6
const CHUNK = 1 << 20

/** Throws what the system says where the store cannot be read. */
export const storeHealth = (root: string, deep: boolean): StoreHealth => {
  const layout = Layout.make(root)
  const objects = fanned(`${root}/objects`, /^[0-9a-f]{62}$/)
  const entries = fanned(`${root}/actions`, /^[0-9a-f]{62}\.json$/)
  const small = objects.filter(({ bytes }) => bytes <= SMALL)
  const every = Math.max(1, Math.ceil(small.length / SAMPLE))
  const chosen = deep ? objects : small.filter((_, i) => i % every === 0)
  const damaged = chosen.filter(({ name, path }) => ![name, undefined].includes(digestOf(path)))
  if (deep)
    for (const { name, path } of damaged) {
      const identity = Layout.ifThere(() => Fs.lstatSync(path, { bigint: true }))
      if (identity !== undefined) Layout.setAside(layout, path, name, identity)
    }
  const partials = namesIn(`${root}/partial`).map((name) => sizeOf(`${root}/partial/${name}`))
  return {
    runs: namesIn(`${root}/runs`).length,
    entries: entries.length,
    objects: { count: objects.length, bytes: objects.reduce((total, { bytes }) => total + bytes, 0) },
    checked: chosen.length,
    damaged: damaged.map(({ name }) => name),
    unusableEntries: deep ? entries.filter((entry) => !isUsable(layout, entry)).length : null,
    partials: { count: partials.length, bytes: partials.reduce((total, bytes) => total + bytes, 0) },
    quarantined: namesIn(`${root}/quarantine`).length,
    temporaries: namesIn(`${root}/tmp`).length,
    trash: namesIn(`${root}/trash`).length
  }
}

interface Fanned {
  readonly path: string
  /** The digest or the key. */
  readonly name: string
  readonly bytes: number
}

const namesIn = (folder: string) => Layout.ifThere(() => Fs.readdirSync(folder)) ?? []
const sizeOf = (path: string) => Layout.ifThere(() => Fs.lstatSync(path).size) ?? 0

const fanned = (folder: string, pattern: RegExp): ReadonlyArray<Fanned> =>
  namesIn(folder)
    .filter((fan) => /^[0-9a-f]{2}$/.test(fan))
    .flatMap((fan) =>
      namesIn(`${folder}/${fan}`)
        .filter((name) => pattern.test(name))
        .map((name) => {
          const path = `${folder}/${fan}/${name}`
          return { path, name: fan + name.replace(/\.json$/, ""), bytes: sizeOf(path) }
        })
    )

/** Undefined where it is gone: another process may have removed it just now. */
const digestOf = (path: string): string | undefined => {
  const fd = Layout.ifThere(() => Fs.openSync(path, "r"))
  if (fd === undefined) return undefined
  try {
    const digest = createHash("sha256")
    const buffer = Buffer.allocUnsafe(CHUNK)
    for (let read = Fs.readSync(fd, buffer); read > 0; read = Fs.readSync(fd, buffer))
      digest.update(buffer.subarray(0, read))
    return digest.digest("hex")
  } finally {
    Fs.closeSync(fd)
  }
}

const isUsable = (layout: Layout.Layout, { name, path }: Fanned): boolean => {
  const action = Action.fromText(name, Layout.readIfThere(path)?.toString("utf8") ?? "")
  return action._tag === "Some" && action.value.output.files.every(({ digest }) => Fs.existsSync(layout.object(digest)))
}
