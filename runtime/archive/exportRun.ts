/** Writes a run with all that its replay and its verification need into one file. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Readable, Transform } from "node:stream"
import { pipeline } from "node:stream/promises"
import { createGzip } from "node:zlib"
import { Effect, Option, Schema } from "effect"
import { createTarPacker } from "modern-tar"
import * as Json from "../../dsl/Json.ts"
import { type FileRef, sha256 } from "../store/ArtifactRef.ts"
import * as Layout from "../store/internal/layout.ts"
import * as Trash from "../store/internal/trash.ts"
import * as Journal from "../store/Journal.ts"
import { Store } from "../store/Store.ts"
import type { StoreReadFailed } from "../store/StoreError.ts"
import * as Manifest from "./Manifest.ts"

/** The store lacks something that the run needs. */
export class ExportIncomplete extends Schema.TaggedError<ExportIncomplete>()("ExportIncomplete", {
  run: Schema.String,
  missing: Schema.Array(Schema.String)
}) {
  override get message() {
    return `run ${this.run} cannot be exported: the store lacks what these nodes made: ${this.missing.join(", ")}; run the pipeline again to make it`
  }
}

/** Something is where the archive would go. */
export class OutputExists extends Schema.TaggedError<OutputExists>()("OutputExists", { file: Schema.String }) {
  override get message() {
    return `${this.file} exists; give another --out, or remove it`
  }
}

/** The archive could not be written. */
export class ExportFailed extends Schema.TaggedError<ExportFailed>()("ExportFailed", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `cannot write ${this.file}: ${this.problem}`
  }
}

export interface Exported {
  readonly run: string
  readonly file: string
  readonly actions: number
  readonly objects: number
  /** Of the archive. */
  readonly bytes: number
}

/**
 * Exports run `run` to `file`, which must not exist. The bytes are the same whenever the same run is exported by the same
 * Node. Every object is held against its digest on the way.
 */
export const exportRun = Effect.fn("exportRun")(function* (run: string, file: string) {
  const store = yield* Store
  const layout = Layout.make(store.root)
  const record = yield* Journal.summarize(store.root, run)
  const journal = yield* wholeLines(layout, run)

  const actions = new Map<string, Buffer>()
  const objects = new Map<string, FileRef>()
  const missing: Array<string> = []
  for (const { key, node, output } of record.finished.values()) {
    if ((yield* store.inspect(output)) !== "intact") missing.push(node)
    for (const object of output.files) objects.set(object.digest, object)
    if (actions.has(key)) continue
    // Without its entry a run still replays and verifies; only a later run would compute that node again.
    if (Option.isNone(yield* store.lookup(key))) continue
    const text = Layout.ifThere(() => Fs.readFileSync(layout.action(key)))
    if (text !== undefined) actions.set(key, text)
  }
  if (missing.length > 0) return yield* new ExportIncomplete({ run, missing })

  const entries: ReadonlyArray<Manifest.Entry> = [
    { kind: "journal", digest: sha256(journal), bytes: journal.length },
    ...sorted(actions).map(([key, { length }]) => ({ kind: "action", key, bytes: length }) as const),
    ...sorted(objects).map(([digest, { bytes }]) => ({ kind: "object", digest, bytes }) as const)
  ]
  const manifest: Manifest.Manifest = {
    format: "prefline-run",
    version: Manifest.VERSION,
    run,
    pipeline: record.pipeline,
    source: record.source,
    params: record.params,
    prefline: record.versions.prefline,
    entries
  }
  const contents = function* (): Iterable<readonly [name: string, bytes: number, content: Iterable<Uint8Array>]> {
    const head = Buffer.from(`${Json.canonicalUnsafe(manifest)}\n`)
    yield [Manifest.NAME, head.length, [head]]
    for (const entry of entries) {
      const content =
        entry.kind === "object"
          ? chunksOf(layout, entry.digest)
          : [entry.kind === "action" ? actions.get(entry.key)! : journal]
      yield [Manifest.pathOf(run, entry), entry.bytes, content]
    }
  }
  const bytes = yield* write(file, contents())
  return { run, file, actions: actions.size, objects: objects.size, bytes } satisfies Exported as Exported
})

const sorted = <A>(map: ReadonlyMap<string, A>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1))

/** A journal that somebody is writing may end in half a line. */
const wholeLines = (layout: Layout.Layout, run: string) => {
  const path = `${layout.root}/runs/${run}/journal.jsonl`
  return Effect.try({
    try: () => {
      const bytes = Fs.readFileSync(path)
      return bytes.subarray(0, bytes.lastIndexOf(10) + 1)
    },
    catch: (cause): StoreReadFailed => Layout.readFailed(layout, path)(cause)
  })
}

const CHUNK = 256 * 1024

function* chunksOf(layout: Layout.Layout, digest: string): Iterable<Uint8Array> {
  const fd = Trash.withObject(layout, digest, () => Layout.ifThere(() => Fs.openSync(layout.object(digest), "r")))
  if (fd === undefined) throw new Error(`object ${digest.slice(0, 12)} is gone`)
  try {
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK)
      const read = Fs.readSync(fd, chunk)
      if (read === 0) return
      yield chunk.subarray(0, read)
    }
  } finally {
    Fs.closeSync(fd)
  }
}

type Contents = Iterable<readonly [name: string, bytes: number, content: Iterable<Uint8Array>]>

/** Under another name first, so that what has the archive's name is whole. */
const write = Effect.fnUntraced(function* (file: string, contents: Contents) {
  const path = Path.resolve(file)
  if (Fs.existsSync(path)) return yield* new OutputExists({ file })
  const temporary = `${path}.${process.pid}.partial`
  const attempt = async (signal: AbortSignal) => {
    const target = Fs.createWriteStream(temporary, { flags: "wx", flush: true })
    await pipeline(Readable.fromWeb(packed(contents)), createGzip({ level: 6 }), sameEverywhere(), target, { signal })
    Fs.linkSync(temporary, path) // fails where something took the name meanwhile
    return Fs.statSync(path).size
  }
  return yield* Effect.tryPromise({
    try: attempt,
    catch: (cause) =>
      Layout.codeOf(cause) === "EEXIST"
        ? new OutputExists({ file })
        : new ExportFailed({ file, problem: Layout.problemOf(cause) })
  }).pipe(Effect.ensuring(Effect.sync(() => Layout.removeIfThere(temporary))))
})

const packed = (contents: Contents) => {
  const { controller, readable } = createTarPacker()
  const fill = async () => {
    for (const [name, size, content] of contents) {
      const header = { name, size, type: "file", mode: 0o644, mtime: new Date(0), uid: 0, gid: 0 } as const
      const body = controller.add(header).getWriter()
      for (const chunk of content) await body.write(chunk)
      await body.close()
    }
    controller.finalize()
  }
  fill().catch((cause) => controller.error(cause)) // which the reader of `readable` is told
  return readable as import("node:stream/web").ReadableStream<Uint8Array>
}

/** The tenth byte of a gzip file names the system it was made on: it says "unknown" here. */
const sameEverywhere = () => {
  let at = 0
  return new Transform({
    transform(chunk: Buffer, _, done) {
      if (at <= 9 && at + chunk.length > 9) chunk[9 - at] = 0xff
      at += chunk.length
      done(null, chunk)
    }
  })
}
