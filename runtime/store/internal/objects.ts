/** Artifacts as files under the digest of their content. */
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import { Effect, Option, Schema, Stream } from "effect"
import * as Artifact from "../../../dsl/Artifact.ts"
import { Name } from "../../../dsl/Params.ts"
import * as ArtifactRef from "../ArtifactRef.ts"
import { ObjectUnusable, type StoreReadFailed } from "../StoreError.ts"
import * as Layout from "./layout.ts"
import * as Sink from "./sink.ts"
import * as Trash from "./trash.ts"

export type State = "intact" | "missing" | "damaged"

/** Up to here a file is read in one synchronous call: a tenth of what a trip to the thread pool costs. */
const SMALL = 64 * 1024
const CHUNK = 256 * 1024

const isName = Schema.is(Name)

export const write = Effect.fn("Store.write")(function* (
  layout: Layout.Layout,
  artifact: Artifact.Any,
  produced: Artifact.Output<any, unknown, unknown>
) {
  const files: Array<ArtifactRef.FileRef> = []
  yield* Stream.runForEach(artifact.encode(produced), (file) =>
    Effect.gen(function* () {
      const problem = !isName(file.name)
        ? `the file name ${JSON.stringify(file.name)} is not letters, digits, ".", "_" and "-", at most 100, not starting with a dot`
        : files.some(({ name }) => name === file.name)
          ? "the artifact has this file twice"
          : undefined
      if (problem !== undefined) {
        return yield* new Artifact.ArtifactInvalid({ artifact: artifact.name, where: file.name, problem })
      }
      files.push({ name: file.name, ...(yield* Sink.store(layout, file.bytes)) })
    })
  )
  return ArtifactRef.make(artifact.name, files)
})

/** The files of a stored artifact. Every byte that is read is held against its digest at the latest at the file's end. */
export const open = (layout: Layout.Layout, ref: ArtifactRef.ArtifactRef): Artifact.FileSource => ({
  names: ref.files.map(({ name }) => name),
  open: (name) => {
    const file = ref.files.find((file) => file.name === name)
    const unreadable = (cause: unknown) => new Artifact.ArtifactUnreadable({ file: `${ref.artifact}/${name}`, cause })
    if (file === undefined) {
      const names = ref.files.map(({ name }) => name).join(", ")
      return Stream.fail(unreadable(new Error(`the artifact has no such file; it has ${names || "none"}`)))
    }
    return Stream.mapError(content(layout, file), unreadable)
  }
})

const content = (layout: Layout.Layout, file: ArtifactRef.FileRef): Stream.Stream<Uint8Array, unknown> =>
  file.bytes <= SMALL
    ? Stream.unwrap(
        Effect.try({
          try: () => {
            const path = layout.object(file.digest)
            const bytes = Trash.withObject(layout, file.digest, () => Layout.readIfThere(path))
            if (bytes === undefined) throw missing(file)
            if (bytes.length !== file.bytes) throw wrongSize(file, bytes.length)
            if (ArtifactRef.sha256(bytes) !== file.digest) throw wrongContent(file)
            return bytes.length === 0 ? Stream.empty : Stream.succeed(bytes)
          },
          catch: (cause) => cause
        })
      )
    : Stream.unwrap(
        openedForReading(layout, file.digest).pipe(
          Effect.flatMap((fd) => {
            if (fd === undefined) return Effect.fail(missing(file))
            const size = Fs.fstatSync(fd).size
            return size === file.bytes ? Effect.succeed(verified(fd, file)) : Effect.fail(wrongSize(file, size))
          })
        )
      )

const verified = (fd: number, file: ArtifactRef.FileRef): Stream.Stream<Uint8Array, unknown> =>
  Stream.suspend(() => {
    const hash = createHash("sha256")
    type Page = readonly [ReadonlyArray<Uint8Array>, Option.Option<number>]
    return Stream.paginate(0, (at) =>
      Effect.flatMap(readChunk(fd, at), (chunk): Effect.Effect<Page, unknown> => {
        if (chunk.length > 0) {
          hash.update(chunk)
          return Effect.succeed([[chunk], Option.some(at + chunk.length)])
        }
        if (at !== file.bytes) return Effect.fail(wrongSize(file, at))
        return hash.digest("hex") === file.digest
          ? Effect.succeed([[], Option.none()])
          : Effect.fail(wrongContent(file))
      })
    )
  })

/** Re-hashes every file. Damaged objects are set aside, so that a recomputation can put the right bytes there. */
export const inspect = Effect.fnUntraced(function* (layout: Layout.Layout, ref: ArtifactRef.ArtifactRef) {
  let worst: State = "intact"
  for (const file of ref.files) {
    const state = yield* inspectFile(layout, file)
    if (state === "damaged" || (state === "missing" && worst === "intact")) worst = state
  }
  return worst
})

const inspectFile = (layout: Layout.Layout, file: ArtifactRef.FileRef): Effect.Effect<State, StoreReadFailed> =>
  Effect.suspend(() => {
    const path = layout.object(file.digest)
    if (file.bytes <= SMALL && isIntact(path, file)) return Effect.succeed<State>("intact")
    const examined = Effect.scoped(examine(layout, file)).pipe(
      Effect.catch((cause) =>
        UNREADABLE.has(Layout.codeOf(cause) ?? "")
          ? Effect.try({ try: () => damaged(Fs.lstatSync(path, { bigint: true })), catch: (cause) => cause })
          : Effect.fail(cause)
      )
    )
    const settled = Effect.flatMap(examined, (found) =>
      found.state !== "damaged"
        ? Effect.succeed<State | undefined>(found.state)
        : Effect.try({
            try: () => (Layout.setAside(layout, path, file.digest, found.identity) ? found.state : undefined),
            catch: (cause) => cause
          })
    )
    return settled.pipe(
      Effect.mapError(Layout.readFailed(layout, path)),
      // Another process has put something else there meanwhile: look again.
      Effect.flatMap((state) => (state === undefined ? inspectFile(layout, file) : Effect.succeed(state)))
    )
  })

type Found =
  | { readonly state: "intact" | "missing" }
  | { readonly state: "damaged"; readonly identity: Layout.Identity }

const intact: Found = { state: "intact" }
const damaged = (identity: Layout.Identity): Found => ({ state: "damaged", identity })

/** A folder where a file should be, a sector that the disk no longer gives back. */
const UNREADABLE: ReadonlySet<string> = new Set(["EISDIR", "EIO"])

const isIntact = (path: string, file: ArtifactRef.FileRef): boolean => {
  try {
    const bytes = Fs.readFileSync(path)
    return bytes.length === file.bytes && ArtifactRef.sha256(bytes) === file.digest
  } catch {
    return false // a closer look will tell why
  }
}

const examine = Effect.fnUntraced(function* (layout: Layout.Layout, file: ArtifactRef.FileRef) {
  const fd = yield* openedForReading(layout, file.digest)
  if (fd === undefined) return { state: "missing" } as Found
  const identity = Fs.fstatSync(fd, { bigint: true })
  if (identity.size !== BigInt(file.bytes)) return damaged(identity)
  const hash = createHash("sha256")
  const buffer = Buffer.allocUnsafe(CHUNK) // one for all: nothing of a chunk is kept
  for (let at = 0; ; ) {
    const chunk = yield* readChunk(fd, at, buffer)
    if (chunk.length === 0) break
    hash.update(chunk)
    at += chunk.length
  }
  return hash.digest("hex") === file.digest ? intact : damaged(identity)
})

const openedForReading = (layout: Layout.Layout, digest: string) =>
  Effect.acquireRelease(
    Effect.try({
      try: () => Trash.withObject(layout, digest, () => Layout.ifThere(() => Fs.openSync(layout.object(digest), "r"))),
      catch: (cause) => cause
    }),
    (fd) => (fd === undefined ? Effect.void : Effect.sync(() => Fs.closeSync(fd)))
  )

/** To the end even if interrupted, so that the file is never closed under a read in flight. */
const readChunk = (fd: number, at: number, buffer = Buffer.allocUnsafe(CHUNK)) =>
  Effect.uninterruptible(
    Effect.callback<Uint8Array, unknown>((resume) => {
      Fs.read(fd, buffer, 0, CHUNK, at, (error, read) =>
        resume(error === null ? Effect.succeed(buffer.subarray(0, read)) : Effect.fail(error))
      )
    })
  )

const missing = ({ digest }: ArtifactRef.FileRef) =>
  new ObjectUnusable({ digest, state: "missing", problem: "the store does not have it" })

const wrongSize = ({ bytes, digest }: ArtifactRef.FileRef, found: number) =>
  new ObjectUnusable({ digest, state: "damaged", problem: `it should have ${bytes} bytes and has ${found}` })

const wrongContent = ({ digest }: ArtifactRef.FileRef) =>
  new ObjectUnusable({ digest, state: "damaged", problem: "its bytes have another digest" })
