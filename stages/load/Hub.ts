/**
 * Files of repositories of the Hugging Face Hub, by name: a revision is resolved to a commit, and files are kept in a
 * cache by what they hold, checked against the digests that the Hub lists.
 *
 * **Details** `HF_ENDPOINT` names another Hub, `HF_TOKEN` is sent to it and nowhere else, with `HF_HUB_OFFLINE=1` only the
 * cache is asked. The cache lies in `PREFLINE_CACHE`, else in `prefline` below `XDG_CACHE_HOME` or `~/.cache`.
 *
 * **Source** Documentation of the Hub's API: `/api/models/{name}/revision/{revision}`, `/{name}/resolve/{revision}/{file}`.
 */
import { createHash } from "node:crypto"
import { homedir } from "node:os"
import { join } from "node:path"
import { Context, Effect, Redacted, Schedule, Schema } from "effect"
import * as Cache from "./internal/hubCache.ts"
import * as Http from "./internal/hubHttp.ts"

export const RepositoryName = Schema.String.check(
  Schema.isPattern(/^(?!.*(\.\.|--))[\w][\w.-]{0,95}(\/[\w][\w.-]{0,95})?$/, {
    expected: "the name of a repository of the Hub, such as owner/name"
  })
)
export const Revision = Schema.String.check(
  Schema.isPattern(/^(?!.*\.\.)[\w][\w./-]{0,199}$/, { expected: "a branch, a tag or a commit" })
)

export interface Repository {
  readonly type: "model" | "dataset"
  readonly name: string
  readonly revision: string
}

/** A repository at a commit. */
export interface Resolved {
  readonly repository: Repository
  readonly commit: string
  readonly files: ReadonlyMap<string, Cache.Listed>
}

export interface Settings extends Http.Settings {
  readonly cache: string
  readonly offline: boolean
}

/** Where the Hub and the cache are; from the environment unless provided. */
export const Settings = Context.Reference<Settings>("prefline/stages/load/HubSettings", {
  defaultValue: () => fromEnvironment(process.env)
})

export const fromEnvironment = (env: Readonly<Record<string, string | undefined>>): Settings => {
  const token = env["HF_TOKEN"]?.trim()
  return {
    endpoint: (env["HF_ENDPOINT"] || "https://huggingface.co").replace(/\/+$/, ""),
    token: token ? Redacted.make(token) : undefined,
    cache: env["PREFLINE_CACHE"] || join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "prefline"),
    offline: ["1", "true", "yes", "on"].includes((env["HF_HUB_OFFLINE"] ?? "").toLowerCase()),
    backoff: 500,
    patience: 30_000
  }
}

/** The Hub could not be asked, or does not give what was asked for. */
export class HubFailed extends Schema.TaggedError<HubFailed>()("HubFailed", {
  repository: Schema.String,
  problem: Schema.String,
  retryable: Schema.Boolean
}) {
  override get message() {
    return `${this.repository} on the Hugging Face Hub: ${this.problem}`
  }
}

const COMMIT = /^[0-9a-f]{40}$/

/** Resolved once for all of a process: what a key was made of is what is then read. */
const resolved = new Map<string, Resolved>()

/** The commit that the revision stands for, and its files. A commit that is in the cache needs no network. */
export const resolve = Effect.fn("Hub.resolve")(function* (
  repository: Repository
): Effect.fn.Return<Resolved, HubFailed> {
  const settings = yield* Settings
  const key = JSON.stringify([settings.endpoint, settings.cache, repository])
  const known = resolved.get(key)
  if (known !== undefined) return known
  const cache = Cache.at(settings.cache, repository)
  const cached = yield* cachedListing(cache, repository.revision, settings.offline)
  const listing = cached ?? (yield* ask(settings, repository, cache))
  const found: Resolved = { repository, commit: listing.commit, files: new Map(Object.entries(listing.files)) }
  resolved.set(key, found)
  return found
})

/** The bytes of a file, from the cache if they are there. */
export const read = Effect.fn("Hub.read")(function* (
  at: Resolved,
  file: string
): Effect.fn.Return<Uint8Array, HubFailed> {
  const path = yield* download(at, file)
  return yield* Effect.mapError(Cache.readFile(path), failedWith(at.repository))
})

/** A file on disk that holds the file's bytes, checked against their digest. */
export const download = Effect.fn("Hub.download")(function* (
  at: Resolved,
  file: string
): Effect.fn.Return<string, HubFailed> {
  const settings = yield* Settings
  const listed = at.files.get(file)
  if (listed === undefined) {
    const problem = `commit ${at.commit.slice(0, 10)} has no file ${file}; it has ${shortList([...at.files.keys()])}`
    return yield* new HubFailed({ repository: label(at.repository), problem, retryable: false })
  }
  const cache = Cache.at(settings.cache, at.repository)
  const blob = cache.blob(listed, file)
  if (yield* Effect.mapError(Cache.isIntact(blob, listed), failedWith(at.repository))) return blob
  if (settings.offline) return yield* new HubFailed(offline(at.repository, `${file} is not in the cache`))
  const url = `${settings.endpoint}/${prefix(at.repository)}${at.repository.name}/resolve/${at.commit}/${encodePath(file)}`
  const fetched = Http.get(settings, url).pipe(
    Effect.flatMap((body) => Cache.store(blob, listed, body)),
    Effect.mapError((cause) => explained(at.repository, settings, file, cause))
  )
  yield* retried(settings, fetched)
  return blob
})

const Sibling = Schema.Struct({
  rfilename: Schema.NonEmptyString,
  size: Schema.optionalKey(Schema.NullOr(Schema.Int)),
  blobId: Schema.optionalKey(Schema.NullOr(Schema.String)),
  lfs: Schema.optionalKey(Schema.NullOr(Schema.Struct({ sha256: Schema.String, size: Schema.Int })))
})
const Info = Schema.fromJsonString(
  Schema.Struct({ sha: Schema.String.check(Schema.isPattern(COMMIT)), siblings: Schema.Array(Sibling) })
)
const MOST_BYTES = 64 * 1024 * 1024

const ask = (settings: Settings, repository: Repository, cache: Cache.Cache) => {
  const { name, revision, type } = repository
  const url = `${settings.endpoint}/api/${type}s/${name}/revision/${encodeURIComponent(revision)}?blobs=true`
  const asked = Effect.gen(function* () {
    const text = yield* Effect.flatMap(Http.get(settings, url), (body) => Http.text(body, MOST_BYTES))
    const info = yield* Schema.decodeUnknownEffect(Info)(text).pipe(
      Effect.mapError(
        ({ message }) => new Http.Refused({ problem: `its answer is no list of files: ${message}`, retryable: false })
      )
    )
    const files = info.siblings.flatMap(({ blobId, lfs, rfilename, size }): Array<[string, Cache.Listed]> => {
      if (lfs) return [[rfilename, { size: lfs.size, kind: "sha256", digest: lfs.sha256 }]]
      return blobId && size != null ? [[rfilename, { size, kind: "git", digest: blobId }]] : []
    })
    const listing = { commit: info.sha, files: Object.fromEntries(files) }
    yield* cache.record(revision, listing)
    return listing
  }).pipe(
    Effect.catch((cause) =>
      Effect.flatMap(
        Effect.orElseSucceed(cache.commitOf(revision), () => undefined),
        (before) => Effect.fail(explained(repository, settings, undefined, cause, before))
      )
    )
  )
  return retried(settings, asked)
}

/** Transient failures are tried again, four times, ever later. */
const retried = <A>({ backoff }: Settings, effect: Effect.Effect<A, HubFailed>): Effect.Effect<A, HubFailed> =>
  Effect.retry(effect, {
    schedule: Schedule.exponential(`${backoff} millis`).pipe(Schedule.upTo({ times: 4 })),
    while: ({ retryable }) => retryable
  })

const cachedListing = Effect.fnUntraced(function* (cache: Cache.Cache, revision: string, isOffline: boolean) {
  const read = Effect.mapError(
    COMMIT.test(revision)
      ? cache.listing(revision)
      : isOffline
        ? Effect.flatMap(cache.commitOf(revision), (commit) =>
            commit === undefined ? Effect.succeed(undefined) : cache.listing(commit)
          )
        : Effect.succeed(undefined),
    failedWith(cache.repository)
  )
  const found = yield* read
  if (found === undefined && isOffline) return yield* new HubFailed(offline(cache.repository, "it is not in the cache"))
  return found
})

const offline = (repository: Repository, what: string) => ({
  repository: label(repository),
  problem: `${what}, and HF_HUB_OFFLINE keeps prefline from asking the Hub`,
  retryable: false
})

const failedWith = (repository: Repository) => (cause: Cache.CacheFailed) =>
  new HubFailed({ repository: label(repository), problem: cause.message, retryable: false })

/** What happened, and what would help. */
const explained = (
  repository: Repository,
  { endpoint, token }: Settings,
  file: string | undefined,
  cause: Http.Refused | Cache.CacheFailed,
  before?: string
): HubFailed => {
  const failed = (problem: string, retryable = false) =>
    new HubFailed({ repository: label(repository), problem, retryable })
  if (cause._tag === "CacheFailed") return failed(cause.message)
  const what = file ?? `revision ${repository.revision}`
  switch (cause.status) {
    case 401:
    case 403:
      return token === undefined
        ? failed(`it answers ${cause.status}: there is no such repository, or reading it takes a token: set HF_TOKEN`)
        : failed(`it answers ${cause.status}: the token in HF_TOKEN may not read it, or there is no such repository`)
    case 404:
      return failed(`${endpoint} has no ${what} of it (404)`)
    default: {
      const known = before === undefined ? "" : `; the cache has its commit ${before}: as revision it needs no network`
      return failed(`${what}: ${cause.problem}${known}`, cause.retryable)
    }
  }
}

const prefix = ({ type }: Repository) => (type === "model" ? "" : `${type}s/`)
const label = (repository: Repository) => `${prefix(repository)}${repository.name}`
const encodePath = (file: string) => file.split("/").map(encodeURIComponent).join("/")
const shortList = (names: ReadonlyArray<string>) =>
  names.length <= 12 ? names.join(", ") : `${names.slice(0, 12).join(", ")} and ${names.length - 12} more`

/** `hf://datasets/owner/name@revision/file`, as `huggingface_hub` writes paths; without `datasets/` it is a model's. */
const PATH = /^hf:\/\/(?<kind>datasets\/)?(?<name>[^/@]+\/[^/@]+)(?:@(?<revision>[^/]+))?\/(?<file>.+)$/

export const isPath = (path: string) => path.startsWith("hf://")

/** What a path names. */
const parsed = (path: string): Effect.Effect<readonly [Repository, file: string], HubFailed> => {
  const { file, kind, name, revision: given } = PATH.exec(path)?.groups ?? {}
  const revision = decodeRevision(given ?? "main")
  return Schema.is(RepositoryName)(name) && Schema.is(Revision)(revision) && file !== undefined
    ? Effect.succeed([{ type: kind === undefined ? "model" : "dataset", name, revision }, file])
    : Effect.fail(
        new HubFailed({
          repository: path,
          problem: "a path is hf://datasets/owner/name@revision/file",
          retryable: false
        })
      )
}

/** A branch with a slash stands in a path with `%2F`. */
const decodeRevision = (text: string) => text.replace(/%2[fF]/g, "/")

/** The file on disk that a path stands for. */
export const local = Effect.fnUntraced(function* (path: string) {
  const [repository, file] = yield* parsed(path)
  return yield* download(yield* resolve(repository), file)
})

/** What stands for the content of a path in keys: the digest that the Hub lists. Nothing is downloaded for it. */
export const fingerprint = Effect.fnUntraced(function* (path: string) {
  const [repository, file] = yield* parsed(path)
  const at = yield* resolve(repository)
  const listed = at.files.get(file)
  return listed === undefined ? `commit:${at.commit}` : `${listed.kind}:${listed.digest}`
})

/** The digest of a blob as git counts it. */
export const gitDigest = (bytes: Uint8Array): string =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex")
