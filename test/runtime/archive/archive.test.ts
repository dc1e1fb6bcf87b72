import * as Fs from "node:fs"
import { gunzipSync, gzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { packTar, type TarEntry, unpackTar } from "modern-tar"
import { exportRun, importRun } from "../../../runtime/archive/index.ts"
import * as Replay from "../../../runtime/executor/Replay.ts"
import { sha256 } from "../../../runtime/store/ArtifactRef.ts"
import { Store } from "../../../runtime/store/Store.ts"
import { estimate, recorded } from "../compare/recorded.ts"
import { folder, objectPath } from "../store/scratch.ts"

const run = recorded({
  words: { output: 1 },
  judge: { inputs: { input: "words" }, output: { gain: estimate(1, 0.5) } }
})

/** An archive of a run, made in a store that is gone by then. */
const archived = Effect.gen(function* () {
  const [from, to] = [yield* folder, yield* folder]
  const file = `${to}/run.tar.gz`
  const exported = yield* Effect.flatMap(run, (id) => exportRun(id, file)).pipe(Effect.provide(Store.layer(from)))
  Fs.rmSync(from, { recursive: true })
  return { file, run: exported.run }
})

const everything = (root: string) => Fs.globSync(`${root}/**/*`).sort()

describe("an archive", () => {
  it.live("replays where the original store is gone, and has the same bytes again", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { file, run } = yield* archived
        const there = Store.layer(yield* folder)
        yield* Effect.gen(function* () {
          const imported = yield* importRun(file)
          assert.deepStrictEqual(imported, { run, pipeline: "p", actions: 2, objects: 2, known: false })
          assert.lengthOf((yield* Replay.replay(run)).nodes, 2)
          yield* exportRun(run, `${file}.again`)
          assert.isTrue((yield* importRun(file)).known)
          const taken = yield* Effect.flip(exportRun(run, file))
          assert.strictEqual(taken._tag, "OutputExists")
        }).pipe(Effect.provide(there))
        assert.isTrue(Fs.readFileSync(file).equals(Fs.readFileSync(`${file}.again`)))
      })
    )
  )

  it.live("is not made of a run whose objects are gone", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        yield* Effect.gen(function* () {
          const id = yield* run
          const { nodes } = yield* Replay.replay(id)
          Fs.unlinkSync(objectPath(root, nodes[0]!.output!.files[0]!.digest))
          const error = yield* Effect.flip(exportRun(id, `${root}/../never.tar.gz`))
          assert.strictEqual(error._tag, "ExportIncomplete")
          assert.include(error.message, "words")
        }).pipe(Effect.provide(Store.layer(root)))
      })
    )
  )

  it.live("heals a store that lacks some of its objects", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { file, run } = yield* archived
        const root = yield* folder
        yield* Effect.gen(function* () {
          yield* importRun(file)
          for (const path of Fs.globSync(`${root}/objects/*/*`)) Fs.unlinkSync(path)
          yield* importRun(file)
          yield* Replay.replay(run)
        }).pipe(Effect.provide(Store.layer(root)))
      })
    )
  )

  it.live("does not take the place of another run with its id", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { file, run } = yield* archived
        const root = yield* folder
        yield* Effect.gen(function* () {
          yield* importRun(file)
          Fs.appendFileSync(`${root}/runs/${run}/journal.jsonl`, "more\n")
          assert.strictEqual((yield* Effect.flip(importRun(file)))._tag, "RunConflict")
        }).pipe(Effect.provide(Store.layer(root)))
      })
    )
  )
})

type Parts = Array<{ header: TarEntry["header"]; data: Uint8Array }>
interface Declared {
  entries: Array<{ kind: string; digest?: string; key?: string; bytes: number }>
  run: string
  version: number
}

/** Takes an archive apart, lets `change` do its worst, and puts it together again. */
const forged = (file: string, change: (parts: Parts, manifest: Declared) => void) =>
  Effect.promise(async () => {
    const parts = (await unpackTar(gunzipSync(Fs.readFileSync(file)))) as Parts
    const manifest = JSON.parse(Buffer.from(parts[0]!.data).toString()) as Declared
    change(parts, manifest)
    if (parts[0]?.header.name === "prefline.json" && parts[0].data.length > 0)
      parts[0].data = Buffer.from(JSON.stringify(manifest))
    const sized = parts.map(({ data, header }) => ({
      header: { ...header, size: header.type === "file" || header.type === undefined ? data.length : 0 },
      body: data
    }))
    Fs.writeFileSync(`${file}.forged`, gzipSync(await packTar(sized as ReadonlyArray<TarEntry>)))
    return `${file}.forged`
  })

const last = (parts: Parts) => parts.at(-1)!
const renamed = (name: string) => (parts: Parts) => {
  last(parts).header.name = name
}
const typed = (type: NonNullable<TarEntry["header"]["type"]>) => (parts: Parts) => {
  Object.assign(last(parts).header, { type, linkname: "/etc/passwd" })
  last(parts).data = new Uint8Array()
}

const hostile: ReadonlyArray<
  readonly [what: string, says: string, change: (parts: Parts, manifest: Declared) => void]
> = [
  ["an absolute path", "/etc/evil", renamed("/etc/evil")],
  ["a path that climbs", "../../evil", renamed("objects/../../../evil")],
  ["a path with NUL", "where it declares", renamed("objects/ab\u0000/evil")],
  ["a symbolic link", "is a symlink", typed("symlink")],
  ["a hard link", "is a link", typed("link")],
  ["a device", "is a character-device", typed("character-device")],
  ["a folder", "is a directory", typed("directory")],
  ["an entry twice", "twice", (_, { entries }) => void entries.push(entries.at(-1)!)],
  ["an entry twice in the tar", "does not declare", (parts) => void parts.push(last(parts))],
  [
    "what is not declared",
    "does not declare",
    (parts) => void parts.push({ header: { name: "x", size: 1 }, data: Buffer.from("x") })
  ],
  ["less than it declares", "ends before", (parts) => void parts.pop()],
  ["no manifest", "does not begin with", (parts) => void parts.shift()],
  ["nothing", "is empty", (parts) => void parts.splice(0)],
  [
    "an object with other bytes",
    "has other content",
    (parts) => {
      last(parts).data = Buffer.from(last(parts).data).fill(120)
    }
  ],
  [
    "an object that the journal needs and it lacks",
    "which it lacks",
    (parts, { entries }) => {
      parts.pop()
      entries.pop()
    }
  ],
  [
    "an altered entry",
    "is damaged",
    (parts) => {
      const at = parts.findIndex(({ header }) => header.name.startsWith("actions/"))
      parts[at]!.data = Buffer.from(Buffer.from(parts[at]!.data).toString().replace('"ms":1', '"ms":2'))
    }
  ],
  [
    "another run's journal",
    "is not that of run",
    (parts, manifest) => {
      manifest.run = "20200101-000000-abcdef"
      parts[1]!.header.name = `runs/${manifest.run}/journal.jsonl`
    }
  ],
  [
    "a run id that is a path",
    "not that of a run",
    (_, manifest) => {
      manifest.run = "../../evil"
    }
  ],
  [
    "a journal that is none",
    "is no event",
    (parts, manifest) => {
      const text = Buffer.from('{"_tag":"RunStarted"}\n')
      parts[1]!.data = text
      Object.assign(manifest.entries[0]!, { bytes: text.length, digest: sha256(text) })
    }
  ],
  [
    "a size beyond the limit",
    "more than the limit",
    (_, { entries }) => {
      entries.at(-1)!.bytes = 2 ** 50
    }
  ],
  [
    "a format of the future",
    "use a newer prefline",
    (_, manifest) => {
      manifest.version = 2
    }
  ]
]

describe("importing", () => {
  for (const [what, says, change] of hostile)
    it.live(`refuses ${what}, and leaves nothing behind`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const { file } = yield* archived
          const root = yield* folder
          const store = Store.layer(root)
          yield* Effect.provide(Effect.void, store)
          const before = everything(root)
          const error = yield* Effect.flip(importRun(yield* forged(file, change))).pipe(Effect.provide(store))
          assert.strictEqual(error._tag, "ArchiveInvalid")
          assert.include(error.message, says)
          assert.deepStrictEqual(everything(root), before)
        })
      )
    )

  it.live("refuses what is cut off anywhere, or no archive, without a trace", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { file } = yield* archived
        const root = yield* folder
        const store = Store.layer(root)
        yield* Effect.provide(Effect.void, store)
        const before = everything(root)
        const whole = Fs.readFileSync(file)
        const wrong = [
          ...[0, 1, 10, 100, whole.length >> 1, whole.length - 9, whole.length - 1].map((at) => whole.subarray(0, at)),
          Buffer.from("no archive at all"),
          gzipSync(Buffer.alloc(5000, 1)),
          gzipSync(Buffer.alloc(1024))
        ]
        for (const bytes of wrong) {
          Fs.writeFileSync(`${file}.wrong`, bytes)
          const error = yield* Effect.flip(importRun(`${file}.wrong`)).pipe(Effect.provide(store))
          assert.strictEqual(error._tag, "ArchiveInvalid", `${bytes.length} bytes`)
          assert.deepStrictEqual(everything(root), before)
        }
      })
    )
  )

  it.live("stops at a bomb: a good archive, and behind it more zeros than anything declares", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { file } = yield* archived
        const store = Store.layer(yield* folder)
        const good = gunzipSync(Fs.readFileSync(file))
        const zeros = Buffer.alloc(200e6)
        Fs.writeFileSync(`${file}.bomb`, gzipSync(Buffer.concat([good, zeros]), { level: 1 }))
        const error = yield* Effect.flip(importRun(`${file}.bomb`)).pipe(Effect.provide(store))
        assert.include(error.message, "unpacks to more than it declares")
      })
    )
  )
})
