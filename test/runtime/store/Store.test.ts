import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Schema, Stream } from "effect"
import * as Artifact from "../../../dsl/Artifact.ts"
import * as ArtifactRef from "../../../runtime/store/ArtifactRef.ts"
import * as Layout from "../../../runtime/store/internal/layout.ts"
import { Store } from "../../../runtime/store/Store.ts"
import { ObjectUnusable } from "../../../runtime/store/StoreError.ts"
import { action, actionPath, Files, folder, keyOf, objectPath, openBelow, Score, Word } from "./scratch.ts"

/** Runs a test in a store of its own, and holds it to leave no temporary file and no open handle. */
const inStore = <E>(body: (store: Store["Service"]) => Effect.Effect<void, E>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const root = yield* folder
      yield* Store.use(body).pipe(Effect.provide(Store.layer(root)))
      assert.deepStrictEqual(Fs.readdirSync(`${root}/tmp`), [])
      assert.deepStrictEqual(openBelow(root), [])
    })
  )

const words = (count: number, length = 3) =>
  Stream.range(1, count).pipe(Stream.map((i) => ({ word: `${i}`.padStart(length, "w") })))

const bytesOf = (store: Store["Service"], ref: ArtifactRef.ArtifactRef, name: string) =>
  Effect.map(Stream.runCollect(store.open(ref).open(name)), (chunks) => Buffer.concat(chunks))

const damages = {
  truncated: (path: string) => Fs.truncateSync(path, Fs.statSync(path).size - 1),
  emptied: (path: string) => Fs.truncateSync(path, 0),
  lengthened: (path: string) => Fs.appendFileSync(path, "x"),
  flipped: (path: string) => {
    const bytes = Fs.readFileSync(path)
    bytes[bytes.length >> 1]! ^= 1
    Fs.writeFileSync(path, bytes)
  },
  deleted: (path: string) => Fs.rmSync(path)
}

describe("objects", () => {
  it.effect("gives back the records and the value that were written", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const records = yield* store.write(Word, words(5))
        const decoded = yield* store.read(Word, records)
        assert.deepStrictEqual(yield* Stream.runCollect(decoded.stream), yield* Stream.runCollect(words(5)))
        const value = yield* store.write(Score, Effect.succeed({ score: -0 }))
        assert.isTrue(Object.is((yield* store.read(Score, value)).score, -0))
        assert.isTrue(Schema.is(ArtifactRef.ArtifactRef)(records) && ArtifactRef.isConsistent(records))
      })
    )
  )

  it.effect("gives back bytes of every size around its buffers", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        for (const size of [0, 1, 65_535, 65_536, 65_537, 131_073, 262_144, 262_145, 1_000_003]) {
          const bytes = Buffer.alloc(size, 7).map((byte, i) => byte ^ (i * 31))
          const pieces = [bytes.subarray(0, size >> 2), new Uint8Array(0), bytes.subarray(size >> 2)]
          const ref = yield* store.write(Files, Effect.succeed([{ name: "file", bytes: pieces }]))
          assert.deepStrictEqual(ref.files, [{ name: "file", digest: ArtifactRef.sha256(bytes), bytes: size }])
          assert.isTrue((yield* bytesOf(store, ref, "file")).equals(bytes), `${size} bytes`)
          assert.strictEqual(yield* store.inspect(ref), "intact")
        }
      })
    )
  )

  it.effect("does not mind a producer that reuses its buffer", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const buffer = new Uint8Array(10)
        const reusing = Stream.range(0, 19).pipe(
          Stream.rechunk(1),
          Stream.map((i) => buffer.fill(i))
        )
        const artifact = { ...Files, encode: () => Stream.succeed({ name: "file", bytes: reusing }) }
        const ref = yield* store.write(artifact, Effect.succeed([]))
        const expected = Buffer.concat(Array.from({ length: 20 }, (_, i) => Buffer.alloc(10, i)))
        assert.isTrue((yield* bytesOf(store, ref, "file")).equals(expected))
      })
    )
  )

  it.effect("addresses content: same bytes, one object; another name or artifact, another digest", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const file = (name: string) => ({ name, bytes: [Buffer.from("same")] })
        const one = yield* store.write(Files, Effect.succeed([file("a"), file("b")]))
        const turned = yield* store.write(Files, Effect.succeed([file("b"), file("a")]))
        const other = yield* store.write(Files, Effect.succeed([file("a"), file("c")]))
        assert.deepStrictEqual(turned, one)
        assert.notStrictEqual(other.digest, one.digest)
        assert.notStrictEqual(ArtifactRef.make("other", one.files).digest, one.digest)
        assert.strictEqual(Fs.readdirSync(`${store.root}/objects`).length, 1)
      })
    )
  )

  for (const [what, damage] of Object.entries(damages)) {
    for (const size of ["small", "large"] as const) {
      it.effect(`notices a ${size} object that was ${what}, and heals it by writing it again`, () =>
        inStore(
          Effect.fnUntraced(function* (store) {
            const write = store.write(Word, size === "small" ? words(5) : words(3000, 100))
            const ref = yield* write
            const path = objectPath(store.root, ref.files[0]!.digest)
            damage(path)
            const state = what === "deleted" ? "missing" : "damaged"

            const error = yield* Effect.flip(bytesOf(store, ref, "records.jsonl"))
            assert.instanceOf(error, Artifact.ArtifactUnreadable)
            assert.instanceOf(error.cause, ObjectUnusable)
            assert.strictEqual(error.cause.state, state)
            assert.include(error.message, "words/records.jsonl")

            assert.strictEqual(yield* store.inspect(ref), state)
            assert.isFalse(Fs.existsSync(path))
            const aside = what === "deleted" ? [] : [`${ref.files[0]!.digest}-0`]
            assert.deepStrictEqual(Fs.readdirSync(`${store.root}/quarantine`), aside)
            assert.strictEqual(yield* store.inspect(ref), "missing")

            assert.deepStrictEqual(yield* write, ref)
            assert.strictEqual(yield* store.inspect(ref), "intact")
            damage(path)
            assert.deepStrictEqual(yield* write, ref) // without an inspection in between
            assert.strictEqual(yield* store.inspect(ref), "intact")
          })
        )
      )
    }
  }

  it.effect("sets the same damage aside once, however many find it", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const ref = yield* store.write(Word, words(3000, 100))
        damages.flipped(objectPath(store.root, ref.files[0]!.digest))
        const states = yield* Effect.all(
          Array.from({ length: 20 }, () => store.inspect(ref)),
          { concurrency: 20 }
        )
        assert.include(states, "damaged")
        assert.notInclude(states, "intact")
        assert.strictEqual(Fs.readdirSync(`${store.root}/quarantine`).length, 1)
      })
    )
  )

  it.effect("leaves the good bytes that another process puts in the place of damaged ones", () =>
    inStore((store) =>
      Effect.sync(() => {
        const path = `${store.root}/objects/object`
        Fs.writeFileSync(path, "damaged")
        const found = Fs.lstatSync(path, { bigint: true })
        Fs.writeFileSync(`${path}.new`, "the good")
        Fs.renameSync(`${path}.new`, path)
        const layout = Layout.make(store.root)
        assert.isFalse(Layout.setAside(layout, path, "object", found))
        assert.strictEqual(Fs.readFileSync(path, "utf8"), "the good")
        assert.isTrue(Layout.setAside(layout, path, "object", Fs.lstatSync(path, { bigint: true })))
        assert.deepStrictEqual(Fs.readdirSync(`${store.root}/quarantine`), ["object-0"])
      })
    )
  )

  it.effect("counts a folder in an object's place as damage", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const ref = yield* store.write(Word, words(2))
        const path = objectPath(store.root, ref.files[0]!.digest)
        Fs.rmSync(path)
        Fs.mkdirSync(path)
        assert.strictEqual(yield* store.inspect(ref), "damaged")
        assert.strictEqual(yield* store.inspect(ref), "missing")
      })
    )
  )

  for (const name of ["../../etc/passwd", "a/b", "", ".", ".hidden", "a\0b", "x".repeat(101), "ü"]) {
    it.effect(`refuses the file name ${JSON.stringify(name.slice(0, 20))}`, () =>
      inStore(
        Effect.fnUntraced(function* (store) {
          const files = [{ name, bytes: [Buffer.from("x")] }]
          const error = yield* Effect.flip(store.write(Files, Effect.succeed(files)))
          assert.instanceOf(error, Artifact.ArtifactInvalid)
          assert.include(error.message, JSON.stringify(name))
          assert.deepStrictEqual(Fs.readdirSync(`${store.root}/objects`), [])
        })
      )
    )
  }

  it.effect("refuses two files of one name", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const files = ["1", "2"].map((text) => ({ name: "twice", bytes: [Buffer.from(text)] }))
        const error = yield* Effect.flip(store.write(Files, Effect.succeed(files)))
        assert.instanceOf(error, Artifact.ArtifactInvalid)
        assert.include(error.message, "twice")
      })
    )
  )

  it.effect("says which files there are when asked for another", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const ref = yield* store.write(Score, Effect.succeed({ score: 1 }))
        const error = yield* Effect.flip(Stream.runDrain(store.open(ref).open("../format.json")))
        assert.include(error.message, "it has value.json")
      })
    )
  )

  it.effect("passes the producer's failure on, small or large, and leaves nothing behind", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        for (const size of [3, 3000]) {
          const failing = Stream.concat(words(size, 100), Stream.fail("boom" as const))
          const failure: "boom" | Artifact.ArtifactInvalid | { readonly _tag: "StoreWriteFailed" } = yield* Effect.flip(
            store.write(Word, failing)
          )
          assert.strictEqual(failure, "boom")
          assert.deepStrictEqual(Fs.readdirSync(`${store.root}/tmp`), [])
        }
        assert.deepStrictEqual(Fs.readdirSync(`${store.root}/objects`), [])
      })
    )
  )

  it.live("leaves no temporary file and no handle when writing or reading is interrupted at any moment", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const stored = yield* store.write(Word, words(20_000, 100))
        const read = Effect.flatMap(store.read(Word, stored), ({ stream }) => Stream.runDrain(stream))
        let interrupted = 0
        for (let i = 0; i < 60; i++) {
          const large = store.write(Word, Stream.concat(Stream.make({ word: `${i}` }), words(4000, 100)))
          const small = store.write(Word, Stream.make({ word: `small ${i}` }))
          const fiber = yield* Effect.forkChild(
            Effect.all([large, small, read, store.inspect(stored)], { concurrency: "unbounded" })
          )
          yield* Effect.sleep(`${1 + (i % 20)} millis`)
          yield* Fiber.interrupt(fiber)
          if (Exit.hasInterrupts(yield* Fiber.await(fiber))) interrupted++
          assert.deepStrictEqual(Fs.readdirSync(`${store.root}/tmp`), [], `round ${i}`)
          assert.deepStrictEqual(openBelow(store.root), [], `round ${i}`)
        }
        assert.isAbove(interrupted, 20)
      })
    )
  )

  it.effect("closes a large object that is read only in part", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const ref = yield* store.write(Word, words(20_000, 100))
        const { stream } = yield* store.read(Word, ref)
        assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(stream, 1)), [{ word: "1".padStart(100, "w") }])
        assert.deepStrictEqual(openBelow(store.root), [])
      })
    )
  )

  it.effect("lets many write the same and different things at once", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const refs = yield* Effect.forEach(
          Array.from({ length: 300 }, (_, i) => i % 30),
          (score) => store.write(Score, Effect.succeed({ score })),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(new Set(refs.map(({ digest }) => digest)).size, 30)
        for (const ref of refs) assert.strictEqual(yield* store.inspect(ref), "intact")
      })
    )
  )
})

describe("actions", () => {
  it.effect("finds what was recorded, to the last bit, and nothing else", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const entry = action(keyOf("k"), yield* store.write(Score, Effect.succeed({ score: 1 })))
        assert.deepStrictEqual(yield* store.lookup(entry.key), Option.none())
        assert.deepStrictEqual(yield* store.record(entry), entry)
        const found = Option.getOrThrow(yield* store.lookup(entry.key))
        assert.deepStrictEqual(found, entry)
        assert.isTrue(Object.is((found.parts as typeof entry.parts & { params: { zero: number } }).params.zero, -0))
        assert.deepStrictEqual(yield* store.lookup(keyOf("other")), Option.none())
      })
    )
  )

  it.effect("keeps the first entry, and replaces it only once its output is gone", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const [first, second] = [
          action(keyOf("k"), yield* store.write(Score, Effect.succeed({ score: 1 }))),
          action(keyOf("k"), yield* store.write(Score, Effect.succeed({ score: 2 })))
        ]
        assert.deepStrictEqual(yield* store.record(first), first)
        assert.deepStrictEqual(yield* store.record(second), first)
        assert.deepStrictEqual(yield* store.record(second, { replace: true }), first)
        damages.flipped(objectPath(store.root, first.output.files[0]!.digest))
        assert.deepStrictEqual(yield* store.record(second), first)
        assert.deepStrictEqual(yield* store.record(second, { replace: true }), second)
        assert.deepStrictEqual(yield* store.lookup(second.key), Option.some(second))
      })
    )
  )

  it.effect("makes all who record one key agree, also when they replace a lost output", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const key = keyOf("k")
        const lost = yield* store.write(Score, Effect.succeed({ score: -1 }))
        yield* store.record(action(key, lost))
        Fs.rmSync(objectPath(store.root, lost.files[0]!.digest))
        const agreed = yield* Effect.forEach(
          Array.from({ length: 40 }, (_, score) => score),
          (score) =>
            Effect.flatMap(store.write(Score, Effect.succeed({ score })), (output) =>
              store.record(action(key, output), { replace: true })
            ),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(new Set(agreed.map(({ output }) => output.digest)).size, 1)
        assert.notStrictEqual(agreed[0]!.output.digest, lost.digest)
        assert.deepStrictEqual(yield* store.lookup(key), Option.some(agreed[0]!))
      })
    )
  )

  it.effect("counts every truncation and every flipped bit of an entry as a miss, and sets it aside", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const entry = action(keyOf("k"), yield* store.write(Score, Effect.succeed({ score: 1 })))
        yield* store.record(entry)
        const path = actionPath(store.root, entry.key)
        const whole = Fs.readFileSync(path)
        for (let i = 0; i < whole.length; i += 7) {
          for (const torn of [whole.subarray(0, i), flip(whole, i)]) {
            Fs.writeFileSync(path, torn)
            assert.deepStrictEqual(yield* store.lookup(entry.key), Option.none(), `at byte ${i}`)
            assert.isFalse(Fs.existsSync(path))
          }
        }
        Fs.writeFileSync(path, Buffer.alloc(whole.length)) // as after a power cut
        assert.deepStrictEqual(yield* store.record(entry), entry)
        assert.deepStrictEqual(yield* store.lookup(entry.key), Option.some(entry))
      })
    )
  )

  it.effect("does not believe an entry of another key", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const entry = action(keyOf("k"), yield* store.write(Score, Effect.succeed({ score: 1 })))
        yield* store.record(entry)
        const other = actionPath(store.root, keyOf("other"))
        Fs.mkdirSync(Path.dirname(other), { recursive: true })
        Fs.copyFileSync(actionPath(store.root, entry.key), other)
        assert.deepStrictEqual(yield* store.lookup(keyOf("other")), Option.none())
      })
    )
  )

  for (const key of ["", "../../x", "ABC", keyOf("k").toUpperCase(), `${keyOf("k")}0`, `../${keyOf("k").slice(3)}`]) {
    it.effect(`refuses the key ${JSON.stringify(key.slice(0, 12))}`, () =>
      inStore(
        Effect.fnUntraced(function* (store) {
          const output = yield* store.write(Score, Effect.succeed({ score: 1 }))
          assert.include((yield* Effect.flip(store.lookup(key))).message, "is no key")
          assert.include((yield* Effect.flip(store.record(action(key, output)))).message, "is no key")
        })
      )
    )
  }
})

const flip = (bytes: Buffer, at: number) => {
  const flipped = Buffer.from(bytes)
  flipped[at]! ^= 1
  return flipped
}

describe("partial states", () => {
  it.effect("keeps the last state until it is dropped", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        const partial = store.partial(keyOf("k"))
        assert.deepStrictEqual(yield* partial.load, Option.none())
        for (const size of [0, 1, 500_000]) {
          const state = Buffer.alloc(size, size)
          yield* partial.save(state)
          assert.isTrue(Buffer.from(Option.getOrThrow(yield* partial.load)).equals(state))
        }
        assert.deepStrictEqual(yield* store.partial(keyOf("other")).load, Option.none())
        yield* store.dropPartial(keyOf("k"))
        yield* store.dropPartial(keyOf("k"))
        assert.deepStrictEqual(yield* partial.load, Option.none())
      })
    )
  )

  for (const [what, damage] of Object.entries(damages)) {
    it.effect(`counts a state that was ${what} as none`, () =>
      inStore(
        Effect.fnUntraced(function* (store) {
          const partial = store.partial(keyOf("k"))
          yield* partial.save(Buffer.from("some state of a training"))
          damage(`${store.root}/partial/${keyOf("k")}`)
          assert.deepStrictEqual(yield* partial.load, Option.none())
        })
      )
    )
  }

  it.effect("refuses a key that would leave its folder", () =>
    inStore(
      Effect.fnUntraced(function* (store) {
        assert.strictEqual((yield* Effect.flip(store.partial("../x").save(Buffer.from("x"))))._tag, "PartialUnwritable")
        assert.isTrue(Exit.isFailure(yield* Effect.exit(store.partial("../format.json").load)))
        assert.include((yield* Effect.flip(store.dropPartial("../format.json"))).message, "is no key")
        assert.isTrue(Fs.existsSync(`${store.root}/format.json`))
      })
    )
  )
})
