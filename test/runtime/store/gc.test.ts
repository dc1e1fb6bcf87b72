import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as Replay from "../../../runtime/executor/Replay.ts"
import * as Gc from "../../../runtime/store/Gc.ts"
import * as Pins from "../../../runtime/store/Pins.ts"
import { Store } from "../../../runtime/store/Store.ts"
import { recorded } from "../compare/recorded.ts"
import { action, folder, keyOf, objectPath, Score } from "./scratch.ts"

const inStore = <A, E>(body: (root: string) => Effect.Effect<A, E, Store>) =>
  Effect.scoped(Effect.flatMap(folder, (root) => Effect.provide(body(root), Store.layer(root))))

const files = (root: string, folder: string) => Fs.globSync(`${root}/${folder}/*/*`).sort()

/** Makes everything look as if nobody had used it for so many days. */
const age = (root: string, days: number) => {
  const then = new Date(Date.now() - days * 86_400_000)
  for (const path of Fs.globSync(`${root}/**/*`)) Fs.utimesSync(path, then, then)
}

const orphan = Effect.fnUntraced(function* (name: string, score: number) {
  const store = yield* Store
  return yield* store.record(action(keyOf(name), yield* store.write(Score, Effect.succeed({ score }))))
})

/** What a store is after anything: each entry's objects are there. */
const sound = Effect.fnUntraced(function* (root: string) {
  const store = yield* Store
  for (const path of files(root, "actions")) {
    const found = yield* store.lookup(path.slice(-70, -5).replace("/", ""))
    assert.strictEqual(yield* store.inspect(Option.getOrThrow(found).output), "intact")
  }
})

const child = (name: string, ...args: ReadonlyArray<string>) =>
  promisify(execFile)(process.execPath, [fileURLToPath(new URL(`children/${name}.ts`, import.meta.url)), ...args])

describe("gc", () => {
  it.live("removes what no run reaches, after the grace only, and a dry run removes nothing", () =>
    inStore((root) =>
      Effect.gen(function* () {
        const run = yield* recorded({ words: { output: 1 } })
        yield* orphan("orphan", 2)
        assert.strictEqual((yield* Gc.collect()).objects.count, 0)
        age(root, 1)
        const before = Fs.globSync(`${root}/**/*`).sort()
        const told = yield* Gc.collect({ dryRun: true })
        assert.deepStrictEqual(Fs.globSync(`${root}/**/*`).sort(), before)
        const done = yield* Gc.collect()
        assert.deepStrictEqual({ ...told, dryRun: false }, done)
        assert.deepStrictEqual([done.actions.count, done.objects.count, done.runs], [1, 1, []])
        assert.deepStrictEqual([files(root, "actions").length, files(root, "objects").length], [1, 1])
        assert.isFalse(Fs.existsSync(`${root}/trash`))
        yield* Replay.replay(run)
      })
    )
  )

  it.live("keeps the newest runs of each pipeline, the younger ones, pins, and what they share", () =>
    inStore((root) =>
      Effect.gen(function* () {
        const make = (pipeline: string, own: number) =>
          recorded({ shared: { output: 0 }, own: { params: { own }, output: own } }, { pipeline })
        const [a1, a2, a3] = [yield* make("a", 1), yield* make("a", 2), yield* make("a", 3)]
        const b1 = yield* make("b", 4)
        age(root, 40)
        const runs = [a1, a2, a3].toSorted() // of one second, so by their ids
        const dry = yield* Gc.collect({ dryRun: true, keepRuns: 1 })
        assert.lengthOf(dry.runs, 2)
        assert.notInclude(
          dry.runs.map(({ run }) => run),
          b1
        )
        const gone = dry.runs.map(({ run }) => run)
        yield* Pins.add(root, { name: "mine", pinned: { kind: "run", run: gone[0]! } })
        // Both conditions: these runs began just now, whatever their files' times say.
        assert.lengthOf((yield* Gc.collect({ dryRun: true, keepRuns: 1, olderThan: 86_400_000 })).runs, 0)
        const done = yield* Gc.collect({ keepRuns: 1 })
        assert.deepStrictEqual(
          done.runs.map(({ run }) => run),
          [gone[1]]
        )
        assert.deepStrictEqual([done.actions.count, done.objects.count], [1, 1])
        for (const run of [...runs, b1].filter((run) => run !== gone[1])) yield* Replay.replay(run)
        yield* Pins.remove(root, "mine")
        assert.strictEqual((yield* Gc.collect({ dryRun: true, keepRuns: 1, grace: 0 })).runs.length, 1)
      })
    )
  )

  it.live("keeps a pinned artifact with the entry that it is served by", () =>
    inStore((root) =>
      Effect.gen(function* () {
        const store = yield* Store
        const { key, output } = yield* orphan("kept", 1)
        yield* orphan("not kept", 2)
        yield* Pins.add(root, { name: "it", pinned: { kind: "artifact", ref: output } })
        age(root, 40)
        assert.strictEqual((yield* Gc.collect()).actions.count, 1)
        assert.isTrue(Option.isSome(yield* store.lookup(key)))
        assert.strictEqual(yield* store.inspect(output), "intact")
        const taken = Pins.add(root, { name: "it", pinned: { kind: "run", run: "20260101-000000-000000" } })
        assert.strictEqual((yield* Effect.flip(taken))._tag, "PinTaken")
        yield* Pins.remove(root, "it")
        assert.strictEqual((yield* Effect.flip(Pins.remove(root, "it")))._tag, "PinUnknown")
      })
    )
  )

  it.live("keeps the run of a living process, and one of another machine's until it was long silent", () =>
    inStore((root) =>
      Effect.gen(function* () {
        const run = yield* recorded({ words: { output: 1 } }, { ended: false })
        const owner = (host: string, pid: number) =>
          Fs.writeFileSync(
            `${root}/runs/${run}/progress.jsonl`,
            `${JSON.stringify({ _tag: "Owner", host, pid, began: null })}\n`
          )
        const goes = Effect.map(Gc.collect({ dryRun: true, keepRuns: 0 }), ({ runs }) => runs.length === 1)
        age(root, 3)
        assert.isFalse(yield* goes, "nobody can say who runs it")
        age(root, 8)
        assert.isTrue(yield* goes)
        owner("0123456789ab", 1)
        age(root, 3)
        assert.isFalse(yield* goes)
        age(root, 8)
        assert.isTrue(yield* goes)
      })
    )
  )

  it.live("takes nothing that somebody was told is there, and readers find what it is about to take", () =>
    inStore((root) =>
      Effect.gen(function* () {
        const store = yield* Store
        const { key, output } = yield* orphan("asked for", 1)
        const written = yield* store.write(Score, Effect.succeed({ score: 2 }))
        age(root, 40)
        yield* store.lookup(key)
        yield* store.write(Score, Effect.succeed({ score: 2 })) // finds its bytes there
        const done = yield* Gc.collect()
        assert.deepStrictEqual([done.actions.count, done.objects.count], [0, 0])
        for (const { digest } of [...output.files, ...written.files]) {
          Fs.mkdirSync(`${root}/trash`, { recursive: true })
          Fs.renameSync(objectPath(root, digest), `${root}/trash/object-${digest}`)
        }
        assert.deepStrictEqual(yield* store.read(Score, output), { score: 1 })
        assert.strictEqual(yield* store.inspect(written), "intact")
        assert.deepStrictEqual(Fs.readdirSync(`${root}/trash`), [])
      })
    )
  )

  it.live("removes partial states and quarantined files that nobody came back for", () =>
    inStore((root) =>
      Effect.gen(function* () {
        const store = yield* Store
        const { key } = yield* orphan("done", 1)
        yield* recorded({ words: { output: 1 } })
        for (const name of [key, keyOf("not done")]) yield* store.partial(name).save(Buffer.from("state"))
        Fs.writeFileSync(`${root}/quarantine/bad-0`, "x")
        age(root, 1)
        yield* store.lookup(key)
        const young = yield* Gc.collect()
        assert.deepStrictEqual([young.partials.count, young.quarantined.count], [1, 0])
        assert.deepStrictEqual(Fs.readdirSync(`${root}/partial`), [keyOf("not done")])
        age(root, 31)
        const old = yield* Gc.collect()
        assert.deepStrictEqual([old.partials.count, old.quarantined.count], [1, 1])
      })
    )
  )

  it.live("is one at a time, and takes over the lock of a dead process", () =>
    inStore((root) =>
      Effect.gen(function* () {
        Fs.writeFileSync(`${root}/gc.lock`, "0123456789ab-1")
        const error = yield* Effect.flip(Gc.collect())
        assert.include(error.message, "another process (0123456789ab-1) is collecting")
        assert.strictEqual((yield* Gc.collect({ dryRun: true })).objects.count, 0)
        age(root, 2)
        yield* Gc.collect()
        assert.isFalse(Fs.existsSync(`${root}/gc.lock`))
      })
    )
  )

  it.live(
    "killed at any step leaves a sound store, which the next one clears",
    () =>
      inStore((root) =>
        Effect.gen(function* () {
          const kept = yield* recorded({ words: { output: 100 } }, { pipeline: "kept" })
          let interrupted = 0
          // Garbage piles up, so that later kills hit other steps: runs, entries, objects being moved, then deleted.
          for (const step of [3, 13, 24, 38]) {
            yield* recorded({ words: { params: { step }, output: step } }, { pipeline: "old" })
            for (let i = 0; i < 2; i++) yield* orphan(`${step} ${i}`, 1000 + step + i)
            yield* Pins.add(root, { name: "kept", pinned: { kind: "run", run: kept } })
            age(root, 40)
            const killed = yield* Effect.promise(() =>
              child("collector", root, '{"keepRuns":0}', String(step)).then(
                () => false,
                (error: { readonly signal: string | null; readonly stderr: string }) =>
                  error.signal === "SIGKILL" ? true : assert.fail(error.stderr)
              )
            )
            assert.isTrue(killed, `it had fewer than ${step} steps`)
            if (Fs.existsSync(`${root}/trash`)) interrupted++
            yield* sound(root)
            yield* Replay.replay(kept)
          }
          assert.isAbove(interrupted, 2)
          age(root, 40)
          yield* Gc.collect({ keepRuns: 0 })
          assert.strictEqual(files(root, "actions").length, 1)
          assert.strictEqual(files(root, "objects").length, 1)
          assert.isFalse(Fs.existsSync(`${root}/trash`))
        })
      ),
    60_000
  )

  it.live(
    "loses nothing of what other processes use meanwhile",
    () =>
      inStore((root) =>
        Effect.gen(function* () {
          const GRACE = 600
          const users = ["a", "b"].map((label) =>
            Effect.promise(() => child("user", root, "3500", String(GRACE), label))
          )
          let collected = 0
          const collecting = Effect.forever(
            Effect.tap(Gc.collect({ grace: GRACE }), ({ actions }) =>
              Effect.sync(() => {
                collected += actions.count
              })
            ).pipe(Effect.andThen(Effect.sleep("5 millis")))
          )
          const ended = yield* Effect.raceFirst(Effect.all(users, { concurrency: "unbounded" }), collecting)
          for (const { stdout } of ended) {
            const { lost, made, served } = JSON.parse(stdout)
            assert.deepStrictEqual(lost, [])
            assert.isAbove(made, 0)
            assert.isAbove(served, 0)
          }
          assert.isAbove(collected, 0, "nothing was ever collected, so nothing was tried")
          yield* sound(root)
        })
      ),
    60_000
  )
})
