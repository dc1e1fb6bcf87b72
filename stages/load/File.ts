/** A file outside the store, read as a stream: its bytes, its digest, its lines. Nothing is held but one line. */
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { resolve } from "node:path"
import { pipeline } from "node:stream"
import { createGunzip } from "node:zlib"
import { Effect, Schema, Stream } from "effect"
import { brief } from "../../dsl/internal/brief.ts"

/** There is no file of that name. */
export class FileMissing extends Schema.TaggedError<FileMissing>()("FileMissing", { file: Schema.String }) {
  override get message() {
    return `${this.file}: no such file (looked for ${resolve(this.file)})`
  }
}

/** The file is there but cannot be read: a directory, forbidden, damaged gzip, a failing disk. */
export class FileUnreadable extends Schema.TaggedError<FileUnreadable>()("FileUnreadable", {
  file: Schema.String,
  problem: Schema.String,
  retryable: Schema.Boolean
}) {
  override get message() {
    return `${this.file}: ${this.problem}`
  }
}

/** One line, or the record on it, is not what was asked for. `line` counts from 1, rows where the file has no lines. */
export class RecordInvalid extends Schema.TaggedError<RecordInvalid>()("RecordInvalid", {
  file: Schema.String,
  line: Schema.Int,
  unit: Schema.optionalKey(Schema.Literal("row")),
  problem: Schema.String
}) {
  override get message() {
    return `${this.file}, ${this.unit ?? "line"} ${this.line}: ${brief(this.problem)}`
  }
}

/** A line without its line feed; `number` counts from 1. */
export interface Line {
  readonly number: number
  readonly text: string
}

/** A line longer than this is refused, so that a file without line ends cannot fill the memory: 64 MiB. */
export const LINE_LIMIT = 64 * 1024 * 1024

/** The content in order; a name that ends in `.gz` is decompressed on the way. Every run opens the file anew. */
export const bytes = (file: string): Stream.Stream<Uint8Array, FileMissing | FileUnreadable> =>
  Stream.suspend(() => Stream.fromAsyncIterable<Uint8Array, FileMissing | FileUnreadable>(open(file), failed(file)))

/** Lowercase hex SHA-256 of the content, decompressed: packing a file changes nothing. */
export const digest = (file: string): Effect.Effect<string, FileMissing | FileUnreadable> =>
  Effect.suspend(() => {
    const hash = createHash("sha256")
    return Stream.runForEach(bytes(file), (chunk) => Effect.sync(() => hash.update(chunk))).pipe(
      Effect.map(() => hash.digest("hex"))
    )
  })

/**
 * The lines as UTF-8 text. They are cut at line feeds before they are decoded, so that bad bytes are told by their line;
 * a byte order mark at the start of the file is dropped. A last line needs no line feed.
 */
export const lines = (
  file: string,
  limit = LINE_LIMIT
): Stream.Stream<Line, FileMissing | FileUnreadable | RecordInvalid> =>
  Stream.suspend(() => {
    let number = 0
    let length = 0
    let open: Array<Uint8Array> = []
    const grow = (part: Uint8Array) => {
      length += part.length
      open.push(part)
      if (length > limit) throw invalid(file, number + 1, `the line is longer than ${limit} bytes`)
    }
    const close = (): Line => {
      const line = decoded(file, ++number, open.length === 1 ? open[0]! : Buffer.concat(open, length))
      open = []
      length = 0
      return line
    }
    const cut = (chunk: Uint8Array) => {
      const found: Array<Line> = []
      let start = 0
      for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
        grow(chunk.subarray(start, end))
        found.push(close())
        start = end + 1
      }
      if (start < chunk.length) grow(chunk.subarray(start))
      return found
    }
    const last = Stream.suspend(() => Stream.fromEffect(attempt(() => (length > 0 ? [close()] : []))))
    return bytes(file).pipe(
      Stream.mapEffect((chunk) => attempt(() => cut(chunk))),
      Stream.concat(last),
      Stream.flattenIterable
    )
  })

const open = (file: string): AsyncIterable<Uint8Array> => {
  const raw = createReadStream(file)
  // the callback keeps a failure from being thrown; the iterator over the last stream reports it
  return file.endsWith(".gz") ? pipeline(raw, createGunzip(), () => {}) : raw
}

const TRANSIENT = new Set(["EAGAIN", "EBUSY", "EINTR", "EIO", "EMFILE", "ENFILE", "ENOMEM", "ESTALE", "ETIMEDOUT"])

/** What a failure of the file system, or of decompression, is for whoever reads the file. */
export const failed = (file: string) => (cause: unknown) => {
  const { code = "", message } = cause as NodeJS.ErrnoException
  if (code === "ENOENT" || code === "ENOTDIR") return new FileMissing({ file })
  const problem =
    code === "EISDIR"
      ? "is a directory; name the file in it"
      : code.startsWith("Z_")
        ? `is no intact gzip file: ${message}`
        : `cannot be read: ${message}`
  return new FileUnreadable({ file, problem, retryable: TRANSIENT.has(code) })
}

const invalid = (file: string, line: number, problem: string) => new RecordInvalid({ file, line, problem })

const attempt = <A>(make: () => A): Effect.Effect<A, RecordInvalid> =>
  Effect.try({ try: make, catch: (cause) => cause }).pipe(
    Effect.catch((cause) => (cause instanceof RecordInvalid ? Effect.fail(cause) : Effect.die(cause)))
  )

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const decoded = (file: string, number: number, line: Uint8Array): Line => {
  let text: string
  try {
    text = utf8.decode(line)
  } catch {
    throw invalid(file, number, "is not UTF-8 text")
  }
  return { number, text: number === 1 && text.startsWith("\uFEFF") ? text.slice(1) : text }
}
