/** A file under `tmp/` that is written, synced, and then moved to its place in one step, or removed. */
import * as Fs from "node:fs"
import { Effect } from "effect"
import type { StoreWriteFailed } from "../StoreError.ts"
import * as Layout from "./layout.ts"

export interface Temporary {
  /** Appends to the file, which is made with the first write. */
  readonly write: (chunk: Uint8Array) => Effect.Effect<void, StoreWriteFailed>
  /** Syncs the file and moves it over whatever is at `target`. */
  readonly moveTo: (target: string) => Effect.Effect<void, StoreWriteFailed>
  /** Closes and removes what was not moved; to be run in every case. */
  readonly discard: Effect.Effect<void, StoreWriteFailed>
}

/** Up to here a write is synchronous: it only copies into the system's cache. */
const SYNCHRONOUS = 128 * 1024

export const make = (layout: Layout.Layout): Temporary => {
  const path = layout.temporary()
  let fd: number | undefined
  let exists = false

  const attempt = <A>(use: () => A) => Layout.writing(layout, path, use)
  /** A call into libuv's pool, waited for even by an interrupted fiber: no file is closed under a call in flight. */
  const pooled = <A>(call: (done: (error: Error | null, result: A) => void) => void) =>
    Effect.uninterruptible(
      Effect.callback<A, StoreWriteFailed>((resume) =>
        call((error, result) =>
          resume(error === null ? Effect.succeed(result) : Effect.fail(Layout.writeFailed(layout, path)(error)))
        )
      )
    )
  const opened = attempt(() => {
    fd ??= Layout.withFolder(path, () => Fs.openSync(path, "wx"))
    exists = true
    return fd
  })
  const close = () => {
    if (fd === undefined) return
    const closing = fd
    fd = undefined
    Fs.closeSync(closing)
  }
  const writeRest = (fd: number, chunk: Uint8Array): Effect.Effect<void, StoreWriteFailed> =>
    chunk.length <= SYNCHRONOUS
      ? attempt(() => Layout.writeAll(fd, chunk))
      : pooled<number>((done) => Fs.write(fd, chunk, done)).pipe(
          Effect.flatMap((written) => writeRest(fd, chunk.subarray(written)))
        )

  return {
    write: (chunk) => Effect.flatMap(opened, (fd) => writeRest(fd, chunk)),
    moveTo: (target) =>
      opened.pipe(
        // In the pool, so that the syncs of many files share the disk's own work.
        Effect.flatMap((fd) => pooled<void>((done) => Fs.fsync(fd, (error) => done(error)))),
        Effect.andThen(
          attempt(() => {
            close()
            Layout.withFolder(target, () => Fs.renameSync(path, target))
            exists = false
          })
        )
      ),
    discard: attempt(() => {
      try {
        close()
      } finally {
        if (exists) Layout.removeIfThere(path)
      }
    })
  }
}

/** Uses a temporary file that is gone afterwards, unless it was moved. */
export const use = <A, E, R>(layout: Layout.Layout, body: (temporary: Temporary) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const temporary = make(layout)
    return Effect.onExit(body(temporary), () => temporary.discard)
  })
