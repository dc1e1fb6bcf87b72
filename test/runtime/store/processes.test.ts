import { type ChildProcess, execFile, spawn } from "node:child_process"
import * as Fs from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as Rng from "../../../dsl/Rng.ts"
import { Store } from "../../../runtime/store/Store.ts"
import { StoreUnusable, StoreWriteFailed } from "../../../runtime/store/StoreError.ts"
import { action, folder, keyOf, Score } from "./scratch.ts"

const child = (name: string) => fileURLToPath(new URL(`./children/${name}.ts`, import.meta.url))

const run = (name: string, args: ReadonlyArray<string>, flags: ReadonlyArray<string> = []) =>
  Effect.promise(() => promisify(execFile)(process.execPath, [...flags, child(name), ...args], { maxBuffer: 1e8 }))

/** What a store says that has been through anything: all its entries whole, all their objects intact. */
const recorded = Effect.fnUntraced(function* (root: string) {
  const store = yield* Store
  let count = 0
  for (const path of Fs.globSync(`${root}/actions/*/*.json`)) {
    const key = path.slice(-70, -5).replace("/", "")
    const found = yield* store.lookup(key)
    assert.isTrue(Option.isSome(found), `the entry ${key} is torn`)
    assert.strictEqual(yield* store.inspect(Option.getOrThrow(found).output), "intact")
    count++
  }
  assert.deepStrictEqual(Fs.readdirSync(`${root}/quarantine`), [])
  return count
})

/** How often each of four writers is killed; twice as often with PREFLINE_LONG=1. */
const ROUNDS = process.env["PREFLINE_LONG"] === "1" ? 8 : 4

describe("several processes on one store", () => {
  it.live("agree on one output a key", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        const writers = ["a", "b", "c"].map((label) => run("writer", [root, "0", "60", label]))
        const outputs = yield* Effect.all(writers, { concurrency: "unbounded" })
        const inForce = outputs.map(({ stdout }) => stdout.split("\n").filter(Boolean).sort())
        assert.strictEqual(inForce[0]!.length, 61)
        assert.deepStrictEqual(inForce[1], inForce[0])
        assert.deepStrictEqual(inForce[2], inForce[0])
        assert.strictEqual(yield* Effect.provide(recorded(root), Store.layer(root)), 60)
        assert.deepStrictEqual(Fs.readdirSync(`${root}/tmp`), [])
      })
    )
  )

  it.live(`lose nothing they recorded when they are killed, ${4 * ROUNDS} times over`, () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        const delays = Rng.make(0, "kill")
        let survived = 0
        for (let round = 0; round < ROUNDS; round++) {
          const killed = Array.from({ length: 4 }, (_, i) => {
            const writer = spawn(process.execPath, [
              child("writer"),
              root,
              String(round * 150),
              "100000",
              `${round}.${i}`
            ])
            return Effect.promise(() =>
              killedAfter(writer, 1 + delays.int(round * 4 + i, 12), 20 * delays.uniform(round * 4 + i))
            )
          })
          const printed = (yield* Effect.all(killed, { concurrency: "unbounded" })).join("")
          const store = Store.layer(root)
          const count = yield* Effect.provide(recorded(root), store)
          assert.isAtLeast(count, survived)
          survived = count
          const lookup = (key: string) => Store.use((store) => store.lookup(keyOf(key)))
          const printedInForce = Effect.forEach(
            // Not "ready", and nothing that was cut off by the kill.
            printed.split("\n").flatMap((line) => (/^\d+ [0-9a-f]{64}$/.test(line) ? [line.split(" ")] : [])),
            ([key, digest]) =>
              Effect.map(lookup(key!), (found) => assert.strictEqual(Option.getOrThrow(found).output.digest, digest))
          )
          yield* Effect.provide(printedInForce, store)
          assert.deepStrictEqual(Fs.readdirSync(`${root}/tmp`), [], "opening clears what the dead left")
          for (let i = 0; i < 5; i++) {
            const state = yield* Store.use((store) => store.partial(keyOf(`partial ${i}`)).load).pipe(
              Effect.provide(store)
            )
            if (Option.isSome(state)) assert.strictEqual(new Set(state.value).size, 1, "a mixture of two states")
          }
        }
        assert.isAbove(survived, 4 * ROUNDS)
      })
    )
  )

  it.live("keep temporary files of the living, and of other machines for a day", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        const open = Effect.provide(Effect.void, Store.layer(root))
        yield* open
        const stranger = `${root}/tmp/0123456789ab-1-000000000000-0`
        const old = `${root}/tmp/0123456789ab-2-000000000000-0`
        for (const path of [stranger, old]) Fs.writeFileSync(path, "x")
        const yesterday = new Date(Date.now() - 25 * 3600 * 1000)
        Fs.utimesSync(old, yesterday, yesterday)
        const writer = spawn(process.execPath, [child("writer"), root, "0", "100000", "alive"])
        yield* Effect.promise(() => printed(writer))
        for (let i = 0; i < 20; i++) yield* open
        assert.isTrue(Fs.existsSync(stranger))
        assert.isFalse(Fs.existsSync(old))
        assert.isNull(writer.exitCode, "the writer failed, for its files were taken away")
        yield* Effect.promise(() => killedAfter(writer, 0, 0))
      })
    )
  )
})

const printed = (writer: ChildProcess) => new Promise((resolve) => writer.stdout!.once("data", resolve))

/** Kills the process so many ms after it has printed so many lines, however fast it is, and returns all that it printed. */
const killedAfter = (writer: ChildProcess, lines: number, ms: number) =>
  new Promise<string>((resolve, reject) => {
    let text = ""
    let errors = ""
    let doomed = false
    writer.stdout!.on("data", (chunk) => {
      text += chunk
      if (doomed || text.split("\n").length <= lines + 1) return
      doomed = true
      setTimeout(() => writer.kill("SIGKILL"), ms)
    })
    writer.stderr!.on("data", (chunk) => {
      errors += chunk
    })
    writer.on("close", (_code, signal) => (signal === "SIGKILL" ? resolve(text) : reject(new Error(errors))))
  })

it.live("400 MB pass through in bounded memory", () =>
  Effect.scoped(
    Effect.gen(function* () {
      const { stdout } = yield* run("bounded", [yield* folder], ["--max-old-space-size=64"])
      const { bytes, expected, grownMB, state } = JSON.parse(stdout)
      assert.strictEqual(state, "intact")
      assert.strictEqual(bytes, expected)
      assert.isAbove(bytes, 400e6)
      assert.isBelow(grownMB, 100)
    })
  )
)

describe("a folder that cannot be a store", () => {
  const refused = (root: string) =>
    Effect.map(Effect.flip(Effect.provide(Effect.void, Store.layer(root))), (error) => {
      assert.instanceOf(error, StoreUnusable)
      assert.include(error.message, root)
      return error.problem
    })

  it.effect("is a file, or lies below one", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = `${yield* folder}/file`
        Fs.writeFileSync(file, "x")
        assert.include(yield* refused(file), "it is a file")
        assert.include(yield* refused(`${file}/below`), "ENOTDIR")
        assert.strictEqual(Fs.readFileSync(file, "utf8"), "x")
      })
    )
  )

  it.effect("has a format from the future, or none that can be read", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        for (const [format, problem] of [
          ['{"format":"prefline-store","version":2}', "use a newer prefline"],
          ['{"format":"prefline-store","version":0}', "no longer reads"],
          ['{"format":"another","version":1}', "not that of a store"],
          ["{", "not that of a store"]
        ] as const) {
          Fs.writeFileSync(`${root}/format.json`, format)
          assert.include(yield* refused(root), problem)
          assert.deepStrictEqual(Fs.readdirSync(root), ["format.json"])
        }
      })
    )
  )

  it.effect("holds other files", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        Fs.writeFileSync(`${root}/thesis.tex`, "x")
        assert.include(yield* refused(root), "thesis.tex")
        assert.deepStrictEqual(Fs.readdirSync(root), ["thesis.tex"])
      })
    )
  )

  it.effect("was left half made: that one is finished", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        Fs.mkdirSync(`${root}/objects`)
        yield* Effect.provide(Effect.void, Store.layer(root))
        yield* Effect.provide(Effect.void, Store.layer(root))
        assert.isTrue(Fs.existsSync(`${root}/format.json`))
      })
    )
  )

  it.live("may not be written by this user", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = `${yield* folder}/theirs`
        Fs.mkdirSync(root, { mode: 0o555 })
        Fs.chmodSync(`${root}/..`, 0o755)
        // Root may write everywhere, so that a test run by root has to become somebody else.
        const asUser = process.getuid!() === 0 ? { uid: 65534, gid: 65534 } : {}
        const script = `
          import { Effect } from "effect"
          import { Store } from ${JSON.stringify(new URL("../../../runtime/store/Store.ts", import.meta.url).href)}
          console.log((await Effect.runPromise(Effect.flip(Effect.provide(Effect.void, Store.layer(${JSON.stringify(root)}))))).message)`
        const cwd = fileURLToPath(new URL(".", import.meta.url))
        const { stdout } = yield* Effect.promise(() =>
          promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { cwd, ...asUser })
        )
        assert.include(stdout, `cannot use ${root} as a store: EACCES: permission denied`)
      })
    )
  )
})

it.live("a full disk is a typed error that names the file, and leaves nothing behind", () =>
  Effect.scoped(
    Effect.gen(function* () {
      const root = yield* folder
      const script = child("writer")
      // A limit on the size of files fails a write as a full disk does: some bytes go in, then there is an error.
      const command = `ulimit -f 64; exec "$0" "$@"`
      const { stderr } = yield* Effect.promise(() =>
        promisify(execFile)("bash", ["-c", command, process.execPath, script, root, "2", "1", "a"]).then(
          () => assert.fail("the writer succeeded"),
          (error: { readonly stderr: string }) => error
        )
      )
      assert.match(stderr, /StoreWriteFailed: cannot write tmp\/\S+ in the store: EFBIG: file too large/)
      assert.deepStrictEqual(Fs.readdirSync(`${root}/tmp`), [])
      assert.deepStrictEqual(Fs.globSync(`${root}/{objects,actions}/*/*`), [])
    })
  )
)

it.effect("a store whose folder is taken away fails with typed errors", () =>
  Effect.scoped(
    Effect.gen(function* () {
      const root = yield* folder
      yield* Store.use(
        Effect.fnUntraced(function* (store) {
          const output = yield* store.write(Score, Effect.succeed({ score: 1 }))
          Fs.rmSync(root, { recursive: true })
          Fs.writeFileSync(root, "a file instead")
          const failures = [
            yield* Effect.flip(store.write(Score, Effect.succeed({ score: 2 }))),
            yield* Effect.flip(store.record(action(keyOf("k"), output)))
          ]
          for (const failure of failures) assert.instanceOf(failure, StoreWriteFailed)
          assert.strictEqual(yield* store.inspect(output), "missing")
          assert.deepStrictEqual(yield* store.lookup(keyOf("k")), Option.none())
        })
      ).pipe(Effect.provide(Store.layer(root)))
    })
  )
)
