import { createHash } from "node:crypto"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Stream } from "effect"
import { afterAll, beforeAll, beforeEach } from "vitest"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import { concatenate } from "../../dsl/internal/bytes.ts"
import * as HuggingFace from "../../runtime/interchange/huggingFace.ts"
import { checkpoint } from "../../stages/load/checkpoint.ts"
import * as Hub from "../../stages/load/Hub.ts"
import { fileSource } from "../../stages/load/jsonl.ts"
import { rows } from "../../stages/load/rows.ts"
import * as Tiny from "../stages/tinyPolicy.ts"

const TOKEN = "hf_secretsecretsecret"
const COMMIT = "0123456789abcdef0123456789abcdef01234567"
const folder = mkdtempSync(join(tmpdir(), "prefline-hub-"))

interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
  /** Sends this much of the body, then breaks the connection (`cut`) or says nothing more (`silent`). */
  readonly after?: { readonly bytes: number; readonly next: "cut" | "silent" }
}

/** What the server answers, by method-less path; several answers are given one after the other, the last one again. */
let answers = new Map<string, Array<Answer>>()
let asked: Array<{ readonly path: string; readonly authorization: string | undefined }> = []

const respond = (request: IncomingMessage, response: ServerResponse) => {
  const path = request.url!.split("?")[0]!
  asked.push({ path, authorization: request.headers.authorization })
  const queue = answers.get(path) ?? [{ status: 404 }]
  const { after, body = "", headers = {}, status = 200 } = queue.length > 1 ? queue.shift()! : queue[0]!
  const bytes = Buffer.from(body)
  response.writeHead(status, { "content-length": bytes.length, ...headers })
  if (after === undefined) return response.end(bytes)
  response.write(bytes.subarray(0, after.bytes))
  if (after.next === "cut") setImmediate(() => response.destroy())
  return undefined
}
const hub = createServer(respond)
const store = createServer(respond) // where large files lie: another origin
const listen = (server: typeof hub) =>
  new Promise<string>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
  )
let endpoint = ""
let storage = ""
let nobody = ""
beforeAll(async () => {
  const gone = createServer()
  nobody = await listen(gone)
  await new Promise((resolve) => gone.close(resolve))
  endpoint = await listen(hub)
  storage = await listen(store)
})
let cache = ""
let caches = 0
beforeEach(() => {
  answers = new Map()
  asked = []
  cache = join(folder, `cache-${caches++}`)
})
afterAll(() => {
  for (const server of [hub, store]) {
    server.closeAllConnections()
    server.close()
  }
  rmSync(folder, { recursive: true })
})

const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex")
const bytesOf = (text: string) => new TextEncoder().encode(text)

/** Puts a repository on the server: small files as git blobs, `.safetensors` and `.parquet` as large ones elsewhere. */
const publish = (
  type: "model" | "dataset",
  name: string,
  files: Readonly<Record<string, Uint8Array>>,
  revision = "main"
) => {
  const siblings = Object.entries(files).map(([rfilename, bytes]) => {
    const large = /\.(safetensors|parquet)$/.test(rfilename)
    const path = `/${type === "model" ? "" : "datasets/"}${name}/resolve/${COMMIT}/${rfilename}`
    if (large) {
      answers.set(path, [{ status: 302, headers: { location: `${storage}/blob/${sha256(bytes)}?Signature=abc` } }])
      answers.set(`/blob/${sha256(bytes)}`, [{ body: bytes }])
      return {
        rfilename,
        size: bytes.length,
        blobId: "0".repeat(40),
        lfs: { sha256: sha256(bytes), size: bytes.length }
      }
    }
    answers.set(path, [{ body: bytes }])
    return { rfilename, size: bytes.length, blobId: Hub.gitDigest(bytes) }
  })
  answers.set(`/api/${type}s/${name}/revision/${revision}`, [{ body: JSON.stringify({ sha: COMMIT, siblings }) }])
}

const settings = (more: Partial<Hub.Settings> = {}): Hub.Settings => ({
  endpoint,
  token: Redacted.make(TOKEN),
  cache,
  offline: false,
  backoff: 1,
  patience: 150,
  ...more
})
const within =
  (more: Partial<Hub.Settings> = {}) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provideService(effect, Hub.Settings, settings(more))

const model = (revision = "main"): Hub.Repository => ({ type: "model", name: "owner/name", revision })
const fetchFile = (file: string, repository = model()) =>
  Effect.flatMap(Hub.resolve(repository), (resolved) => Hub.read(resolved, file))
const failure = (effect: Effect.Effect<unknown, Hub.HubFailed>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, Hub.HubFailed)
    assert.notInclude(JSON.stringify(error) + error.message + String(error.stack), TOKEN)
    return error
  })

describe("a model of the Hub", () => {
  const saved = Effect.map(HuggingFace.files(Tiny.tinyPolicy(1)), (files) =>
    Object.fromEntries(files.map(({ bytes, name }) => [name, concatenate([...bytes])]))
  )
  const run = (params: object) => checkpoint.stage.run({ params } as never) as Effect.Effect<Checkpoint, unknown, any>
  const key = (params: object) =>
    checkpoint.stage.source!.fingerprint(params as never) as Effect.Effect<any, unknown, any>

  it.live("loads by name, is known by its commit, and comes from the cache then", () =>
    Effect.gen(function* () {
      const files = yield* saved
      publish("model", "owner/name", files)
      const params = { hub: "owner/name" }
      assert.deepEqual(yield* key(params), { hub: "owner/name", commit: COMMIT })
      const policy = yield* run(params)
      assert.deepEqual(policy.weights, Tiny.tinyPolicy(1).weights)
      assert.isTrue(
        asked.filter(({ path }) => path.startsWith("/blob/")).every(({ authorization }) => authorization === undefined)
      )
      assert.isTrue(
        asked
          .filter(({ path }) => !path.startsWith("/blob/"))
          .every(({ authorization }) => authorization === `Bearer ${TOKEN}`)
      )
      assert.isFalse(
        existsSync(cache) && readdirSync(cache, { recursive: true }).some((name) => String(name).endsWith(".part"))
      )
      const before = asked.length
      assert.deepEqual((yield* run({ ...params, revision: COMMIT })).weights, policy.weights)
      const offline = within({ offline: true, endpoint: nobody })
      assert.deepEqual((yield* offline(run(params))).weights, policy.weights)
      assert.strictEqual(asked.length, before)
    }).pipe(within(), Effect.provide(NodeServices.layer))
  )

  it.live("is never read from a pickle", () =>
    Effect.gen(function* () {
      const { "model.safetensors": _, ...files } = yield* saved
      publish("model", "owner/name", { ...files, "pytorch_model.bin": bytesOf("pickle") })
      const error = (yield* Effect.flip(run({ hub: "owner/name" }))) as Error
      assert.include(error.message, "pytorch_model.bin is a pickle, which can run any code")
      assert.isFalse(asked.some(({ path }) => path.endsWith(".bin")))
    }).pipe(within(), Effect.provide(NodeServices.layer))
  )

  it.live("and a folder at once, or neither, is refused", () =>
    Effect.gen(function* () {
      for (const params of [{}, { hub: "owner/name", path: "." }, { path: ".", revision: "main" }])
        assert.include(((yield* Effect.flip(run(params))) as Error).message, "either a folder")
      for (const hub of ["a/b/c", "../x", "a b", "a/..", ""]) assert.throws(() => checkpoint({ hub }))
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("data of the Hub", () => {
  it.live("is read by path, and known by its own digest", () =>
    Effect.gen(function* () {
      const lines = bytesOf('{"prompt":"a"}\n{"prompt":"b"}\n')
      publish("dataset", "owner/data", { "data/train.jsonl": lines })
      const path = "hf://datasets/owner/data@main/data/train.jsonl"
      assert.strictEqual(yield* fileSource.fingerprint({ path }), `git:${Hub.gitDigest(lines)}`)
      const read = yield* Stream.runCollect(Stream.map(rows(path), ([row]) => row))
      assert.deepEqual<ReadonlyArray<unknown>>(read, [{ prompt: "a" }, { prompt: "b" }])
      const error = yield* Effect.flip(Stream.runDrain(rows("hf://datasets/owner/data/none.jsonl")))
      assert.include(error.message, "has no file none.jsonl; it has data/train.jsonl")
      assert.include((yield* Effect.flip(Stream.runDrain(rows("hf://datasets/x")))).message, "a path is hf://")
    }).pipe(within())
  )
})

describe("a Hub that does not give it", () => {
  const info = "/api/models/owner/name/revision/main"
  const content = bytesOf("some bytes of a file")
  const file = `/owner/name/resolve/${COMMIT}/a.json`
  const put = () => publish("model", "owner/name", { "a.json": content })

  const statuses: ReadonlyArray<readonly [status: number, token: boolean, said: string, times: number]> = [
    [401, false, "set HF_TOKEN", 1],
    [401, true, "the token in HF_TOKEN may not read it", 1],
    [403, true, "answers 403", 1],
    [404, true, "has no revision main of it (404)", 1],
    [429, true, "answers 429", 5],
    [500, true, "answers 500", 5],
    [503, true, "answers 503", 5]
  ]
  it.live.each(statuses)(
    "%i (token: %s) says what would help, and is tried again only if that may help",
    ([status, token, said, times]) =>
      Effect.gen(function* () {
        answers.set(info, [{ status }])
        const error = yield* failure(Hub.resolve(model()))
        assert.include(error.message, said)
        assert.lengthOf(asked, times)
      }).pipe(within(token ? {} : { token: undefined }))
  )

  it.live("for a moment is asked again", () =>
    Effect.gen(function* () {
      put()
      answers.get(info)!.unshift({ status: 503 }, { status: 429 })
      answers.get(file)!.unshift({ body: content, after: { bytes: 5, next: "cut" } }, { status: 500 })
      assert.deepEqual(yield* fetchFile("a.json"), content)
    }).pipe(within())
  )

  const broken: ReadonlyArray<readonly [name: string, answer: Answer, said: string]> = [
    ["cut off", { body: content, after: { bytes: 5, next: "cut" } }, "broke off"],
    ["silent", { body: content, after: { bytes: 5, next: "silent" } }, "is silent"],
    ["too short", { body: content.subarray(0, 4) }, "4 of 20 bytes"],
    ["too long", { body: `${"x".repeat(30)}` }, "more than the 20 bytes"],
    ["other bytes", { body: "some bytes of a pile" }, "digests differ"],
    ["gone", { status: 404 }, "has no a.json of it"]
  ]
  it.live.each(broken)("%s: nothing of it stays in the cache", ([, answer, said]) =>
    Effect.gen(function* () {
      put()
      answers.set(file, [answer])
      const error = yield* failure(fetchFile("a.json"))
      assert.include(error.message, said)
      assert.include(error.message, "owner/name on the Hugging Face Hub")
      const left = readdirSync(cache, { recursive: true }).filter((name) => /blobs\/|part$/.test(String(name)))
      assert.deepEqual(left, [])
    }).pipe(within())
  )

  it.live("with an answer that is no list of files is refused", () =>
    Effect.gen(function* () {
      for (const body of ["<html>", "{}", JSON.stringify({ sha: "../..", siblings: [] })]) {
        answers.set(info, [{ body }])
        assert.include((yield* failure(Hub.resolve(model()))).message, "its answer is no list of files")
      }
    }).pipe(within())
  )

  it.live("cannot be reached: says so, and which commit needs no network", () =>
    Effect.gen(function* () {
      put()
      yield* fetchFile("a.json")
      const away = within({ endpoint: nobody })
      const error = yield* failure(away(Hub.resolve(model())))
      assert.include(error.message, `${nobody} cannot be reached: ECONNREFUSED`)
      assert.include(error.message, `the cache has its commit ${COMMIT}`)
      assert.deepEqual(yield* away(fetchFile("a.json", model(COMMIT))), content)
      const none = yield* failure(within({ offline: true, cache: join(folder, "empty") })(Hub.resolve(model())))
      assert.include(none.message, "not in the cache, and HF_HUB_OFFLINE")
      assert.include(
        (yield* failure(within({ endpoint: "nowhere" })(Hub.resolve(model("other"))))).message,
        "is no address"
      )
    }).pipe(within())
  )

  it.live("is asked again for a file that was damaged in the cache", () =>
    Effect.gen(function* () {
      put()
      yield* fetchFile("a.json")
      const blob = readdirSync(cache, { recursive: true, withFileTypes: true }).find(
        (entry) => entry.isFile() && entry.parentPath.endsWith("blobs")
      )!
      const path = join(blob.parentPath, blob.name)
      writeFileSync(path, "damaged")
      assert.deepEqual(yield* fetchFile("a.json"), content)
      assert.deepEqual(new Uint8Array(readFileSync(path)), content)
    }).pipe(within())
  )
})

it("settings come from the environment, the token redacted", () => {
  const made = Hub.fromEnvironment({
    HF_TOKEN: ` ${TOKEN}\n`,
    HF_ENDPOINT: "https://mirror.example/",
    PREFLINE_CACHE: "/c",
    HF_HUB_OFFLINE: "1"
  })
  assert.strictEqual(made.endpoint, "https://mirror.example")
  assert.strictEqual(Redacted.value(made.token!), TOKEN)
  assert.notInclude(JSON.stringify(made) + String(made.token), TOKEN)
  assert.isTrue(made.offline)
  assert.strictEqual(Hub.fromEnvironment({}).endpoint, "https://huggingface.co")
})
