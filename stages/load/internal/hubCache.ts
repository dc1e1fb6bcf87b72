/**
 * What was read from the Hub, below `hub/<type>s--<owner>--<name>/`: `commits/<commit>.json` lists a commit's files,
 * `revisions/<revision>` says which commit it was last, `blobs/<digest>` are the files. Whole files are moved into place.
 */
import { createHash, type Hash } from "node:crypto"
import * as Fs from "node:fs/promises"
import { dirname, join } from "node:path"
import { Effect, Schema, Stream } from "effect"
import * as Http from "./hubHttp.ts"

/** What the Hub lists of a file. `git`: SHA-1 of a blob as git counts it; `sha256`: of a large file's bytes. */
export const Listed = Schema.Struct({
  size: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
  kind: Schema.Literals(["git", "sha256"]),
  digest: Schema.String.check(Schema.isPattern(/^[0-9a-f]{40}([0-9a-f]{24})?$/))
})
export type Listed = typeof Listed.Type

const Listing = Schema.Struct({ commit: Schema.String, files: Schema.Record(Schema.String, Listed) })
export type Listing = typeof Listing.Type

/** The cache cannot be read or written. */
export class CacheFailed extends Schema.TaggedError<CacheFailed>()("CacheFailed", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `the cache, ${this.path}: ${this.problem}`
  }
}

interface Named {
  readonly type: "model" | "dataset"
  readonly name: string
  readonly revision: string
}

export interface Cache {
  readonly repository: Named
  readonly blob: (listed: Listed, file: string) => string
  readonly record: (revision: string, listing: Listing) => Effect.Effect<void, CacheFailed | Http.Refused>
  readonly listing: (commit: string) => Effect.Effect<Listing | undefined, CacheFailed>
  readonly commitOf: (revision: string) => Effect.Effect<string | undefined, CacheFailed>
}

/** The ends of names that tell a form stay, for whoever reads the blob. */
const FORM = /(\.(jsonl|parquet))?(\.gz)?$/

export const at = (root: string, repository: Named): Cache => {
  const folder = join(root, "hub", `${repository.type}s--${repository.name.replace("/", "--")}`)
  const commits = (commit: string) => join(folder, "commits", `${commit}.json`)
  const revisions = (revision: string) => join(folder, "revisions", encodeURIComponent(revision))
  return {
    repository,
    blob: ({ digest }, file) => join(folder, "blobs", `${digest}${FORM.exec(file)![0]}`),
    record: (revision, listing) =>
      Effect.gen(function* () {
        const checked = yield* Schema.decodeUnknownEffect(Listing)(listing).pipe(
          Effect.mapError(
            ({ message }) => new Http.Refused({ problem: `its list of files: ${message}`, retryable: false })
          )
        )
        yield* write(commits(listing.commit), JSON.stringify(checked))
        yield* write(revisions(revision), listing.commit)
      }),
    listing: (commit) =>
      Effect.map(textOf(commits(commit)), (text) => {
        if (text === undefined) return undefined
        try {
          const listing = Schema.decodeUnknownSync(Schema.fromJsonString(Listing))(text)
          return listing.commit === commit ? listing : undefined
        } catch {
          return undefined // damaged: it is asked for again
        }
      }),
    commitOf: (revision) =>
      Effect.map(textOf(revisions(revision)), (text) =>
        text !== undefined && /^[0-9a-f]{40}$/.test(text) ? text : undefined
      )
  }
}

export const readFile = (path: string) => attempt(path, async () => new Uint8Array(await Fs.readFile(path)))

/** Whether the file is there and holds what the Hub lists. */
export const isIntact = (path: string, listed: Listed): Effect.Effect<boolean, CacheFailed> =>
  attempt(path, async () => {
    const hash = hasher(listed)
    try {
      const handle = await Fs.open(path, "r")
      try {
        for await (const chunk of handle.createReadStream({ autoClose: false })) hash.update(chunk as Uint8Array)
      } finally {
        await handle.close()
      }
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return false
      throw cause
    }
    return hash.digest("hex") === listed.digest
  })

/** Writes a body to its place, if it is what the Hub lists; else nothing stays. */
export const store = (
  path: string,
  listed: Listed,
  body: Http.Body
): Effect.Effect<void, CacheFailed | Http.Refused> => {
  const beside = `${path}.${process.pid}.part`
  return Effect.acquireUseRelease(
    attempt(beside, async () => {
      await Fs.mkdir(dirname(path), { recursive: true })
      return Fs.open(beside, "w")
    }),
    (handle) =>
      Effect.gen(function* () {
        const hash = hasher(listed)
        let size = 0
        yield* Stream.runForEach(body, (chunk): Effect.Effect<void, CacheFailed | Http.Refused> => {
          hash.update(chunk)
          size += chunk.length
          return size > listed.size
            ? Effect.fail(damaged(`more than the ${listed.size} bytes that it should have`))
            : attempt(beside, () => handle.writeFile(chunk))
        })
        if (size < listed.size) return yield* damaged(`${size} of ${listed.size} bytes, then it ends`)
        if (hash.digest("hex") !== listed.digest)
          return yield* damaged("other bytes than the Hub lists (digests differ)")
        yield* attempt(path, async () => {
          await handle.sync()
          await Fs.rename(beside, path)
        })
      }),
    (handle) =>
      Effect.ignore(
        attempt(beside, async () => {
          await handle.close()
          await Fs.rm(beside, { force: true })
        })
      )
  )
}

const damaged = (problem: string) => new Http.Refused({ problem: `what came is ${problem}`, retryable: true })

const hasher = ({ kind, size }: Listed): Hash =>
  kind === "git" ? createHash("sha1").update(`blob ${size}\0`) : createHash("sha256")

const write = (path: string, text: string) =>
  attempt(path, async () => {
    await Fs.mkdir(dirname(path), { recursive: true })
    await Fs.writeFile(`${path}.${process.pid}.part`, text)
    await Fs.rename(`${path}.${process.pid}.part`, path)
  })

const textOf = (path: string) =>
  attempt(path, async () => {
    try {
      return await Fs.readFile(path, "utf8")
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined
      throw cause
    }
  })

const attempt = <A>(path: string, run: () => Promise<A>): Effect.Effect<A, CacheFailed> =>
  Effect.tryPromise({ try: run, catch: (cause) => new CacheFailed({ path, problem: (cause as Error).message }) })
