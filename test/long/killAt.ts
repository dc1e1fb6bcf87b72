/**
 * Loaded before a program (`--import file:///…/killAt.ts?root=<store>&at=<n>`): kills its process with SIGKILL just before
 * the n-th operation on files below `root` that a crash could come between, a write after half of its bytes. With
 * `log=<file>` the operations are told to that file, a line each; without `at` the process lives. `in=workers` counts in
 * the worker processes, where else they are left alone.
 */
import Fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"

const asked = new URL(import.meta.url).searchParams
const root = asked.get("root") ?? ""
const at = Number(asked.get("at") ?? Number.POSITIVE_INFINITY)
const log = asked.get("log")
const isWorker = /pool\/main\.\w+$/.test(process.argv[1] ?? "")

const real = { ...Fs }
const opened = new Set<number>()
let count = 0

const isBelow = (path: unknown) => typeof path === "string" && path.startsWith(`${root}/`)

/** `half` is done first where the process dies in the midst of the operation. */
const reach = (operation: string, half?: () => void) => {
  count++
  if (log !== null) real.appendFileSync(log, `${operation}\n`)
  if (count !== at) return
  half?.()
  process.kill(process.pid, "SIGKILL")
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0) // the signal may take a moment
}

const half = (bytes: Uint8Array | string) => bytes.slice(0, bytes.length >> 1)

const patched: Partial<Record<keyof typeof Fs, (...args: ReadonlyArray<any>) => unknown>> = {
  openSync: (path, flags, ...rest) => {
    const counts = isBelow(path) && flags !== "r"
    if (counts) reach("open")
    const fd = real.openSync(path, flags, ...rest)
    if (counts) opened.add(fd)
    return fd
  },
  closeSync: (fd) => {
    opened.delete(fd)
    return real.closeSync(fd)
  },
  writeSync: (fd, bytes, ...rest) => {
    if (opened.has(fd)) reach("write", () => real.writeSync(fd, half(bytes) as Uint8Array))
    return real.writeSync(fd, bytes, ...rest)
  },
  write: (fd, bytes, ...rest) => {
    if (opened.has(fd)) reach("write", () => real.writeSync(fd, half(bytes) as Uint8Array))
    return Reflect.apply(real.write, undefined, [fd, bytes, ...rest])
  },
  fsync: (fd, done) => {
    if (opened.has(fd)) reach("fsync")
    return real.fsync(fd, done)
  },
  writeFileSync: (path, bytes, options) => {
    if (isBelow(path)) reach("writeFile", () => real.writeFileSync(path, half(bytes), options))
    return real.writeFileSync(path, bytes, options)
  }
}
for (const name of ["renameSync", "linkSync", "unlinkSync", "mkdirSync", "ftruncateSync"] as const) {
  const original = real[name] as (...args: ReadonlyArray<unknown>) => unknown
  patched[name] = (...args) => {
    if (isBelow(args[0]) || (typeof args[0] === "number" && opened.has(args[0]))) reach(name.replace("Sync", ""))
    return original(...args)
  }
}

if (root !== "" && isWorker === (asked.get("in") === "workers")) {
  Object.assign(Fs, patched)
  syncBuiltinESMExports()
}
