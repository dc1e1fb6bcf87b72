import * as Fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Ref } from "effect"
import { TestClock } from "effect/testing"
import { sha256 } from "../../../runtime/store/ArtifactRef.ts"
import * as Journal from "../../../runtime/store/Journal.ts"
import { folder, openBelow } from "./scratch.ts"

const file = (root: string, run: string) => `${root}/runs/${run}/journal.jsonl`

const started = (run: string, pipeline = "dpo", ids: ReadonlyArray<string> = ["a"]): Journal.Reported => ({
  _tag: "RunStarted",
  run,
  pipeline,
  source: { module: "file:///pipelines/direct/dpo.ts", export: "default" },
  params: { beta: 0.1 },
  numerics: null,
  versions: { prefline: "0.1.0", node: "v24", effect: "4.1.0" },
  nodes: ids.map((id) => ({ id, stage: "score", inputs: {} })),
  outputs: { report: ids[0]! }
})

const finished = (node: string, key = node): Journal.Reported => ({
  _tag: "NodeFinished",
  node,
  key: sha256(key),
  status: "computed",
  output: { artifact: "score", digest: sha256("o"), files: [{ name: "value.json", digest: sha256("f"), bytes: 3 }] },
  ms: 1.5
})

const ended = (status: "succeeded" | "failed" | "interrupted"): Journal.Reported => ({
  _tag: "RunFinished",
  status,
  ms: 9
})

/** Writes a whole run and returns its id. */
const runOf = (root: string, pipeline: string, events: ReadonlyArray<Journal.Reported>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const journal = yield* Journal.open(root)
      yield* journal.append(started(journal.run, pipeline, ["a", "b"]))
      for (const event of events) yield* journal.append(event)
      return journal.run
    })
  )

const withoutTime = (events: ReadonlyArray<Journal.RunEvent>) => events.map(({ at: _, ...event }) => event)

describe("a journal", () => {
  it.effect("gives back every kind of event, with the time of Effect's clock", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        yield* TestClock.setTime(Date.UTC(2026, 0, 31, 17, 45, 2))
        const events: ReadonlyArray<Journal.Reported> = [
          { _tag: "NodeStarted", node: "a", attempt: 1 },
          { _tag: "NodeRetried", node: "a", attempt: 1, error: "the network\nis down" },
          finished("a"),
          { _tag: "NodeFailed", node: "b", error: { tag: "StageFailed", message: "no ünicode \ud800" }, ms: 2 },
          { _tag: "NodeSkipped", node: "c", because: ["b"] },
          ended("failed")
        ]
        const run = yield* runOf(root, "dpo", events)
        assert.match(run, /^20260131-174502-[0-9a-f]{6}$/)
        const read = yield* Journal.read(root, run)
        assert.deepStrictEqual(withoutTime(read), [started(run, "dpo", ["a", "b"]), ...events])
        for (const { at } of read) assert.strictEqual(at, "2026-01-31T17:45:02.000Z")
        assert.deepStrictEqual(openBelow(root), [])
      })
    )
  )

  it.live("has an event on disk, in order, before its append ends", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        const journal = yield* Journal.open(root)
        const lines = () => Fs.readFileSync(file(root, journal.run), "utf8").split("\n").slice(0, -1)
        yield* journal.append(started(journal.run))
        assert.strictEqual(lines().length, 1)
        const missed = yield* Ref.make(0)
        const nodes = Array.from({ length: 500 }, (_, i) => `n${i}`)
        const append = (node: string, i: number) =>
          journal.append(finished(node)).pipe(
            Effect.andThen(
              Effect.suspend(() => (i % 50 === 0 ? Effect.succeed(lines()) : Effect.succeed([`"${node}"`])))
            ),
            Effect.flatMap((lines) =>
              lines.some((line) => line.includes(`"${node}"`)) ? Effect.void : Ref.update(missed, (n) => n + 1)
            )
          )
        yield* Effect.forEach(nodes, append, { concurrency: "unbounded" })
        assert.strictEqual(yield* Ref.get(missed), 0)
        const written = (yield* Journal.read(root, journal.run)).flatMap((e) =>
          e._tag === "NodeFinished" ? [e.node] : []
        )
        assert.deepStrictEqual(written, nodes)
      })
    )
  )

  it.live("takes ten thousand nodes, and as many at once, in a few writes", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        const journal = yield* Journal.open(root)
        const nodes = Array.from({ length: 10_000 }, (_, i) => `n${i}`)
        yield* journal.append(started(journal.run, "wide", nodes))
        const begun = performance.now()
        yield* Effect.forEach(nodes, (node) => journal.append(finished(node)), { concurrency: "unbounded" })
        const ms = performance.now() - begun
        assert.isBelow(ms, 5000)
        const summary = yield* Journal.summarize(root, journal.run)
        assert.strictEqual(summary.finished.size, nodes.length)
        assert.strictEqual(summary.status, "unfinished")
      })
    )
  )

  it.effect("leaves a torn last line out, and goes on after it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        const run = yield* runOf(root, "dpo", [finished("a")])
        const path = file(root, run)
        const whole = Fs.readFileSync(path)
        const last = whole.lastIndexOf(10, whole.length - 2) + 1
        for (let length = last; length < whole.length; length += 5) {
          Fs.writeFileSync(path, whole.subarray(0, length))
          assert.deepStrictEqual(withoutTime(yield* Journal.read(root, run)), [started(run, "dpo", ["a", "b"])])
          assert.strictEqual((yield* Journal.list(root))[0]!.status, "unfinished")
        }
        yield* Effect.scoped(Effect.flatMap(Journal.open(root, run), (journal) => journal.append(finished("b"))))
        assert.deepStrictEqual(withoutTime(yield* Journal.read(root, run)), [
          started(run, "dpo", ["a", "b"]),
          finished("b")
        ])
      })
    )
  )

  it.effect("names the line that is damaged", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        const run = yield* runOf(root, "dpo", [finished("a"), finished("b")])
        const lines = Fs.readFileSync(file(root, run), "utf8").split("\n")
        for (const bad of ["", "{", '{"_tag":"NodeStarted","at":"2026-01-31T17:45:02.000Z","node":"a","attempt":-1}']) {
          Fs.writeFileSync(file(root, run), [lines[0], bad, ...lines.slice(2)].join("\n"))
          const error = yield* Effect.flip(Journal.read(root, run))
          assert.instanceOf(error, Journal.JournalDamaged)
          assert.strictEqual(error.line, 2)
        }
      })
    )
  )

  it.effect("refuses ids that are none, and names the newest runs for one that is unknown", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        const run = yield* runOf(root, "dpo", [])
        for (const id of [
          "",
          "..",
          "../../etc",
          `${run}/..`,
          `${run}\n`,
          "latest",
          run.toUpperCase().replace(/.$/, "G")
        ]) {
          assert.instanceOf(yield* Effect.flip(Journal.read(root, id)), Journal.RunIdInvalid)
          assert.instanceOf(yield* Effect.flip(Effect.scoped(Journal.open(root, id))), Journal.RunIdInvalid)
        }
        const error = yield* Effect.flip(Journal.read(root, "20200101-000000-000000"))
        assert.instanceOf(error, Journal.RunUnknown)
        assert.include(error.message, run)
      })
    )
  )

  it.effect("says why it cannot be written", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        Fs.writeFileSync(`${root}/runs`, "a file")
        const error = yield* Effect.flip(Effect.scoped(Journal.open(root)))
        assert.instanceOf(error, Journal.JournalFailed)
        assert.include(error.message, "runs")
      })
    )
  )
})

describe("the runs of a store", () => {
  it.effect("stand newest first, with their ends", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        assert.deepStrictEqual(yield* Journal.list(root), [])
        const runs: Array<string> = []
        for (const [pipeline, events] of [
          ["dpo", [ended("succeeded")]],
          ["ipo", [finished("a"), ended("interrupted")]],
          ["dpo", []]
        ] as const) {
          runs.push(yield* runOf(root, pipeline, events))
          yield* TestClock.adjust("10 millis") // all in one second, where ids are in no order
        }
        Fs.mkdirSync(`${root}/runs/20990101-000000-000000`) // killed before its first event
        Fs.writeFileSync(`${root}/runs/notes.txt`, "x")
        const list = yield* Journal.list(root)
        assert.deepStrictEqual(
          list.map(({ ms, pipeline, run, status }) => ({ ms, pipeline, run, status })),
          [
            { run: runs[2]!, pipeline: "dpo", status: "unfinished", ms: undefined },
            { run: runs[1]!, pipeline: "ipo", status: "interrupted", ms: 9 },
            { run: runs[0]!, pipeline: "dpo", status: "succeeded", ms: 9 }
          ]
        )
      })
    )
  )

  it.effect("have ids of their own, however many begin at once", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        const runs = yield* Effect.forEach(Array(200).fill("dpo"), (name: string) => runOf(root, name, []), {
          concurrency: "unbounded"
        })
        assert.strictEqual(new Set(runs).size, 200)
      })
    )
  )

  it.effect("lists a damaged journal as such, and the others beside it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        const whole = yield* runOf(root, "dpo", [finished("a")])
        const broken = yield* runOf(root, "dpo", [finished("a")])
        Fs.writeFileSync(file(root, broken), "not JSON\n")
        const statuses = (yield* Journal.list(root)).map(({ run, status }) => [run, status])
        assert.sameDeepMembers(statuses, [
          [whole, "unfinished"],
          [broken, "damaged"]
        ])
      })
    )
  )

  it.effect("tell the key under which each node was last finished", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        yield* runOf(root, "dpo", [finished("a", "1"), finished("b", "1")])
        yield* TestClock.adjust("1 second")
        yield* runOf(root, "dpo", [finished("a", "2")])
        yield* TestClock.adjust("1 second")
        yield* runOf(root, "ipo", [finished("a", "3"), finished("b", "3")])
        yield* TestClock.adjust("1 second")
        const damaged = yield* runOf(root, "dpo", [finished("a", "4"), finished("b", "4")])
        const [first, , ...rest] = Fs.readFileSync(file(root, damaged), "utf8").split("\n")
        Fs.writeFileSync(file(root, damaged), [first, "{", ...rest].join("\n"))
        assert.deepStrictEqual([...(yield* Journal.lastKeys(root, "dpo"))].sort(), [
          ["a", sha256("2")],
          ["b", sha256("1")]
        ])
      })
    )
  )
})
