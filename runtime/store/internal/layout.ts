/** Where things stand in a store's folder, and the small file operations that all of its parts share. */
import { randomBytes } from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Effect } from "effect"
import { sha256 } from "../ArtifactRef.ts"
import { StoreReadFailed, StoreWriteFailed } from "../StoreError.ts"

export interface Layout {
  readonly root: string
  readonly object: (digest: string) => string
  readonly action: (key: string) => string
  readonly partial: (key: string) => string
  /** A fresh name under `tmp/`, unique among all processes and threads. */
  readonly temporary: () => string
  readonly relative: (path: string) => string
}

export const FOLDERS = ["objects", "actions", "partial", "quarantine", "tmp", "runs"] as const

export const make = (root: string): Layout => {
  const owner = `${HOST}-${process.pid}-${randomBytes(6).toString("hex")}`
  let count = 0
  const fanned = (folder: string, digest: string, ending: string) =>
    `${root}/${folder}/${digest.slice(0, 2)}/${digest.slice(2)}${ending}`
  return {
    root,
    object: (digest) => fanned("objects", digest, ""),
    action: (key) => fanned("actions", key, ".json"),
    partial: (key) => `${root}/partial/${key}`,
    temporary: () => `${root}/tmp/${owner}-${count++}`,
    relative: (path) => Path.relative(root, path)
  }
}

/** Says in which world this process's id means something: the machine since its last start, and its process table. */
export const HOST = sha256(
  [
    Os.hostname(),
    textOr("", () => Fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8")),
    textOr("", () => Fs.readlinkSync("/proc/self/ns/pid"))
  ].join("\n")
).slice(0, 12)

/** The process whose temporary file this is: `undefined` where that cannot be told from here. */
export const ownerOf = (temporary: string): number | undefined => {
  const [host, pid] = Path.basename(temporary).split("-")
  return host === HOST && pid !== undefined && /^[1-9]\d*$/.test(pid) ? Number(pid) : undefined
}

/** Runs a synchronous write; `path` is what the error names. */
export const writing = <A>(layout: Layout, path: string, write: () => A): Effect.Effect<A, StoreWriteFailed> =>
  Effect.try({ try: write, catch: writeFailed(layout, path) })

export const writeFailed = (layout: Layout, path: string) => (cause: unknown) =>
  new StoreWriteFailed({ path: layout.relative(path), problem: problemOf(cause) })

export const readFailed = (layout: Layout, path: string) => (cause: unknown) =>
  new StoreReadFailed({ path: layout.relative(path), problem: problemOf(cause) })

/** The system's words without the absolute paths it adds to them. */
export const problemOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message.replace(/, \w+( '.*)?$/, "") : String(cause)

export const codeOf = (cause: unknown): string | undefined => (cause as NodeJS.ErrnoException | null)?.code

/** Runs `use`, and once more with the folder above `path` made if it turns out to be absent. */
export const withFolder = <A>(path: string, use: () => A): A => {
  try {
    return use()
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT") throw cause
    Fs.mkdirSync(Path.dirname(path), { recursive: true })
    return use()
  }
}

/** `undefined` where nothing is at the path. */
export const readIfThere = (path: string): Buffer | undefined => ifThere(() => Fs.readFileSync(path))

export const removeIfThere = (path: string): void => {
  // Mostly it is not there, and to be told so by an exception takes ten times as long.
  if (Fs.existsSync(path)) ifThere(() => Fs.unlinkSync(path))
}

export const ifThere = <A>(use: () => A): A | undefined => {
  try {
    return use()
  } catch (cause) {
    if (codeOf(cause) === "ENOENT" || codeOf(cause) === "ENOTDIR") return undefined
    throw cause
  }
}

/** Writes all bytes to an open file. */
export const writeAll = (fd: number, bytes: Uint8Array): void => {
  for (let at = 0; at < bytes.length; ) at += Fs.writeSync(fd, bytes, at)
}

/** What tells one file from another that later takes its place, even if that one is given the same inode. */
export interface Identity {
  readonly ino: bigint
  readonly dev: bigint
  readonly mtimeNs: bigint
  readonly size: bigint
}

export const isSame = (a: Identity, b: Identity) =>
  a.ino === b.ino && a.dev === b.dev && a.mtimeNs === b.mtimeNs && a.size === b.size

/**
 * Moves a damaged file to `quarantine/<name>-<n>`. Several processes may find the same damage, and one of them may have
 * put good bytes in its place meanwhile: those are left (or put back) where they are, and the result is false.
 */
export const setAside = (layout: Layout, path: string, name: string, found: Identity): boolean => {
  const current = ifThere(() => Fs.lstatSync(path, { bigint: true }))
  if (current === undefined || !isSame(current, found)) return false
  const target = freeName(`${layout.root}/quarantine/${name}`)
  const moved = ifThere(() => {
    withFolder(target, () => Fs.renameSync(path, target))
    return Fs.lstatSync(target, { bigint: true })
  })
  if (moved === undefined || isSame(moved, found)) return moved !== undefined
  ifThere(() => Fs.linkSync(target, path))
  removeIfThere(target)
  return false
}

const freeName = (prefix: string): string => {
  let n = 0
  while (Fs.existsSync(`${prefix}-${n}`)) n++
  return `${prefix}-${n}`
}

function textOr(fallback: string, read: () => string): string {
  try {
    return read()
  } catch {
    return fallback // not Linux: the host name alone tells machines apart
  }
}
