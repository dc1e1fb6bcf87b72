/** Takes a run's archive into a store. An archive comes from anywhere: nothing in it is believed before it is checked. */
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import { ReadableStream } from "node:stream/web"
import { createGunzip } from "node:zlib"
import { Effect, Option, Schema } from "effect"
import { createTarDecoder, type ParsedTarEntry } from "modern-tar"
import * as Action from "../store/Action.ts"
import { sha256 } from "../store/ArtifactRef.ts"
import * as Actions from "../store/internal/actions.ts"
import * as Layout from "../store/internal/layout.ts"
import * as Trash from "../store/internal/trash.ts"
import { RunEvent } from "../store/RunEvent.ts"
import { Store } from "../store/Store.ts"
import { type StoreReadFailed, StoreWriteFailed } from "../store/StoreError.ts"
import { ArchiveInvalid } from "./ArchiveInvalid.ts"
import * as Manifest from "./Manifest.ts"

/** The store has another run under the archive's id. */
export class RunConflict extends Schema.TaggedError<RunConflict>()("RunConflict", {
  run: Schema.String,
  root: Schema.String
}) {
  override get message() {
    return `${this.root} has another run ${this.run}; import into another --store`
  }
}

export interface Imported {
  readonly run: string
  readonly pipeline: string
  readonly actions: number
  readonly objects: number
  /** Whether the store had the run already. */
  readonly known: boolean
}

/** What an archive may come to unpacked, unless told: 16 GiB. */
export const LIMIT = 16 * 1024 ** 3

/**
 * Imports the archive `file`. Everything is unpacked to temporary files and checked first, each object against its digest;
 * then objects, entries and, last, the journal are put in place. A refused archive leaves nothing behind.
 */
export const importRun = Effect.fn("importRun")(function* (
  file: string,
  options: { readonly limit?: number } = {}
): Effect.fn.Return<Imported, ArchiveInvalid | RunConflict | StoreWriteFailed | StoreReadFailed, Store> {
  const { root } = yield* Store
  const layout = Layout.make(root)
  const staged: Staged = { journal: undefined, actions: [], objects: new Map(), temporaries: [] }
  const body = Effect.gen(function* () {
    const manifest = yield* Effect.tryPromise({
      try: (signal) => unpack(layout, file, options.limit ?? LIMIT, staged, signal),
      catch: (cause) => failureOf(layout, file, cause)
    })
    const { actions, journal, objects } = staged
    const path = `${root}/runs/${manifest.run}/journal.jsonl`
    const there = yield* Layout.writing(layout, path, () => Layout.readIfThere(path))
    if (there !== undefined && !there.equals(journal!)) return yield* new RunConflict({ run: manifest.run, root })
    yield* Layout.writing(layout, `${root}/objects`, () => {
      for (const [digest, temporary] of objects) {
        const target = layout.object(digest)
        Layout.withFolder(target, () => Fs.renameSync(temporary, target))
        Trash.touch(target)
      }
    })
    for (const action of actions) yield* Actions.record(layout, action, true)
    if (there === undefined)
      yield* Layout.writing(layout, path, () => {
        const temporary = layout.temporary()
        staged.temporaries.push(temporary)
        Fs.writeFileSync(temporary, journal!, { flush: true })
        Layout.withFolder(path, () => Fs.linkSync(temporary, path))
      })
    const { pipeline, run } = manifest
    return { run, pipeline, actions: actions.length, objects: objects.size, known: there !== undefined }
  })
  return yield* Effect.ensuring(
    body,
    Effect.sync(() => staged.temporaries.forEach(Layout.removeIfThere))
  )
})

interface Staged {
  journal: Buffer | undefined
  readonly actions: Array<Action.Action>
  /** Digest -> the temporary file that holds these bytes. */
  readonly objects: Map<string, string>
  readonly temporaries: Array<string>
}

/** Thrown while unpacking, with words for the user. */
class Refused extends Error {}
const refuse = (problem: string): never => {
  throw new Refused(problem)
}

/** What does not come from the store's disk is the archive's fault: the decompressor's and the tar reader's errors. */
const failureOf = (layout: Layout.Layout, file: string, cause: unknown) => {
  const path = (cause as NodeJS.ErrnoException).path
  return typeof path === "string" && path.startsWith(layout.root)
    ? Layout.writeFailed(layout, path)(cause)
    : cause instanceof StoreWriteFailed
      ? cause
      : new ArchiveInvalid({ file, problem: Layout.problemOf(cause) })
}

/** A tar's own bytes beside those of its entries: a header and padding each, and room for the end. */
const overhead = (entries: number) => (entries + 1) * 2048 + 1024 * 1024

const unpack = async (layout: Layout.Layout, file: string, limit: number, staged: Staged, signal: AbortSignal) => {
  const source = Fs.createReadStream(file, { signal })
  const gunzip = createGunzip()
  let allowed = Manifest.LARGEST + overhead(1)
  let seen = 0
  async function* counted() {
    for await (const chunk of source.pipe(gunzip) as AsyncIterable<Buffer>) {
      seen += chunk.length
      if (seen > allowed) refuse("it unpacks to more than it declares")
      yield new Uint8Array(chunk)
    }
  }
  source.once("error", (cause) => gunzip.destroy(cause))
  const decoder = createTarDecoder({ strict: true })
  // Not by Readable.toWeb, which replaces the decompressor's errors by one that says nothing.
  const input = ReadableStream.from(counted()) as globalThis.ReadableStream<Uint8Array>
  const entries = input.pipeThrough(decoder).getReader()
  try {
    const manifest = await readManifest((await entries.read()).value)
    const total = manifest.entries.reduce((sum, { bytes }) => sum + bytes, 0)
    if (total > limit) refuse(`it declares ${total} bytes, more than the limit of ${limit}`)
    const { bavail, bsize } = Fs.statfsSync(layout.root)
    if (total > bavail * bsize) refuse(`it declares ${total} bytes, and the disk has ${bavail * bsize} left`)
    allowed = seen + total + overhead(manifest.entries.length)
    for (const declared of manifest.entries) {
      const entry = (await entries.read()).value ?? refuse("it ends before all that it declares")
      checkHeader(entry, Manifest.pathOf(manifest.run, declared), declared.bytes)
      await take(layout, staged, manifest, declared, entry)
    }
    const more = (await entries.read()).value
    if (more !== undefined) refuse(`it has ${JSON.stringify(more.header.name)}, which it does not declare`)
    checkComplete(staged, manifest)
    return manifest
  } finally {
    await entries.cancel().catch(() => undefined) // the reason is thrown already
    source.destroy()
    gunzip.destroy()
  }
}

const decodeManifest = Schema.decodeUnknownOption(Schema.fromJsonString(Manifest.Manifest), {
  onExcessProperty: "error"
})

const readManifest = async (entry: ParsedTarEntry | undefined): Promise<Manifest.Manifest> => {
  if (entry === undefined) return refuse("it is empty")
  if (entry.header.name !== Manifest.NAME || entry.header.type !== "file")
    return refuse(`it does not begin with ${Manifest.NAME}`)
  if (entry.header.size > Manifest.LARGEST) return refuse(`its ${Manifest.NAME} is too large`)
  const text = (await bytesOf(entry)).toString("utf8")
  const version = /"version":(\d+)/.exec(text)?.[1]
  const manifest = decodeManifest(text)
  if (Option.isSome(manifest) && manifest.value.version === Manifest.VERSION) return withoutDuplicates(manifest.value)
  return Number(version) > Manifest.VERSION
    ? refuse(`it has format ${version}, this prefline knows formats up to ${Manifest.VERSION}; use a newer prefline`)
    : refuse(`its ${Manifest.NAME} is not that of a run`)
}

const withoutDuplicates = (manifest: Manifest.Manifest): Manifest.Manifest => {
  const paths = manifest.entries.map((entry) => Manifest.pathOf(manifest.run, entry))
  const known = new Set<string>()
  for (const path of paths) {
    if (known.has(path)) return refuse(`it declares ${path} twice`)
    known.add(path)
  }
  const [first, ...others] = manifest.entries
  if (first?.kind !== "journal" || others.some(({ kind }) => kind === "journal"))
    return refuse("it does not declare one journal, at first")
  return manifest
}

/** The name must be the declared one to the letter: no other path is ever made from it. */
const checkHeader = ({ header }: ParsedTarEntry, path: string, bytes: number) => {
  const name = JSON.stringify(header.name)
  if (header.type !== "file") refuse(`${name} is a ${header.type}, not a file`)
  if (header.name !== path) refuse(`it has ${name} where it declares ${path}`)
  if (header.size !== bytes) refuse(`${name} has ${header.size} bytes where it declares ${bytes}`)
}

/** Entries and journals are read into memory: they are small, and one that is not is none. */
const SMALL = 256 * 1024 * 1024

const take = async (
  layout: Layout.Layout,
  staged: Staged,
  { run }: Manifest.Manifest,
  declared: Manifest.Entry,
  entry: ParsedTarEntry
) => {
  if (declared.kind === "object") {
    const temporary = layout.temporary()
    staged.temporaries.push(temporary)
    if ((await toFile(temporary, entry)) !== declared.digest) refuse(`object ${declared.digest} has other content`)
    staged.objects.set(declared.digest, temporary)
    return
  }
  if (declared.bytes > SMALL) refuse(`${entry.header.name} is too large`)
  const bytes = await bytesOf(entry)
  if (declared.kind === "action") {
    const action = Action.fromText(declared.key, bytes.toString("utf8"))
    staged.actions.push(Option.getOrElse(action, () => refuse(`the entry ${declared.key} is damaged`)))
  } else {
    if (sha256(bytes) !== declared.digest) refuse("its journal has other content")
    checkJournal(run, bytes)
    staged.journal = bytes
  }
}

const decodeEvent = Schema.decodeUnknownOption(Schema.fromJsonString(RunEvent))

const eventsIn = (journal: Buffer) =>
  journal
    .toString("utf8")
    .split("\n")
    .slice(0, -1)
    .map((line, i) => Option.getOrElse(decodeEvent(line), () => refuse(`line ${i + 1} of its journal is no event`)))

const checkJournal = (run: string, journal: Buffer) => {
  const started = eventsIn(journal).find((event) => event._tag === "RunStarted")
  if (started?.run !== run) refuse(`its journal is not that of run ${run}`)
}

/** All that the journal and the entries speak of has to be there. */
const checkComplete = ({ actions, journal, objects }: Staged, { run }: Manifest.Manifest) => {
  const outputs = eventsIn(journal!).flatMap((event) => (event._tag === "NodeFinished" ? [event.output] : []))
  for (const { files } of [...outputs, ...actions.map(({ output }) => output)])
    for (const { digest } of files)
      if (!objects.has(digest)) refuse(`run ${run} needs object ${digest}, which it lacks`)
}

async function* chunksOf({ body }: ParsedTarEntry): AsyncIterable<Uint8Array> {
  yield* body as unknown as AsyncIterable<Uint8Array>
}

const bytesOf = async (entry: ParsedTarEntry): Promise<Buffer> => {
  const chunks: Array<Uint8Array> = []
  for await (const chunk of chunksOf(entry)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Returns the digest of what was written, and synced. */
const toFile = async (path: string, entry: ParsedTarEntry): Promise<string> => {
  const hash = createHash("sha256")
  const fd = Layout.withFolder(path, () => Fs.openSync(path, "wx"))
  const failing = <A>(use: () => A): A => {
    try {
      return use()
    } catch (cause) {
      throw Object.assign(cause as Error, { path }) // a failed write does not say where
    }
  }
  try {
    for await (const chunk of chunksOf(entry)) {
      hash.update(chunk)
      failing(() => Layout.writeAll(fd, chunk))
    }
    failing(() => Fs.fsyncSync(fd))
  } finally {
    Fs.closeSync(fd)
  }
  return hash.digest("hex")
}
