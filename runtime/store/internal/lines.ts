/** Appends lines to a file: many that come at once are one write, in the order in which they came. */
import * as Fs from "node:fs"
import { Effect } from "effect"
import { writeAll } from "./layout.ts"

export interface Lines {
  /** Ends when the line is written (not when it is synced). */
  readonly append: (line: string) => Effect.Effect<void, unknown>
}

/** Opens the file at its end, cutting off a last line that was never finished. On closing the file is synced. */
export const open = (path: string) =>
  Effect.acquireRelease(Effect.try({ try: () => opened(path), catch: (cause) => cause }), ({ close }) => close).pipe(
    Effect.map(({ lines }) => lines)
  )

const opened = (path: string) => {
  const fd = Fs.openSync(path, Fs.constants.O_RDWR | Fs.constants.O_CREAT | Fs.constants.O_APPEND)
  let size: number
  try {
    size = withoutTornLine(fd)
  } catch (cause) {
    Fs.closeSync(fd)
    throw cause
  }
  let waiting: Array<{ readonly line: string; readonly resume: (exit: Effect.Effect<void, unknown>) => void }> = []

  const flush = () => {
    const batch = waiting
    waiting = []
    if (batch.length === 0) return
    const bytes = Buffer.from(batch.map(({ line }) => `${line}\n`).join(""))
    let outcome: Effect.Effect<void, unknown> = Effect.void
    try {
      writeAll(fd, bytes)
      size += bytes.length
    } catch (cause) {
      outcome = Effect.fail(cause)
      Fs.ftruncateSync(fd, size) // so that the next line does not continue half a line
    }
    for (const { resume } of batch) resume(outcome)
  }
  const lines: Lines = {
    append: (line) =>
      Effect.callback((resume) => {
        if (waiting.push({ line, resume }) === 1) setImmediate(flush)
      })
  }
  const close = Effect.callback<void>((resume) => {
    flush()
    Fs.fsync(fd, (error) => {
      Fs.closeSync(fd)
      resume(error === null ? Effect.void : Effect.logWarning(`cannot sync ${path}: ${error.message}`))
    })
  })
  return { lines, close }
}

/** Returns the length that remains. */
const withoutTornLine = (fd: number): number => {
  const { size } = Fs.fstatSync(fd)
  const buffer = Buffer.alloc(64 * 1024)
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - buffer.length)
    const read = Fs.readSync(fd, buffer, 0, end - start, start)
    const newline = buffer.subarray(0, read).lastIndexOf(10)
    if (newline >= 0) {
      const kept = start + newline + 1
      if (kept < size) Fs.ftruncateSync(fd, kept)
      return kept
    }
    end = start
  }
  if (size > 0) Fs.ftruncateSync(fd, 0)
  return 0
}
