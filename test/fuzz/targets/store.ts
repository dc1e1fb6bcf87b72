import * as Fs from "node:fs"
import { Effect, Option, Result, Stream } from "effect"
import * as Action from "../../../runtime/store/Action.ts"
import * as ArtifactRef from "../../../runtime/store/ArtifactRef.ts"
import * as Journal from "../../../runtime/store/Journal.ts"
import { Store } from "../../../runtime/store/Store.ts"
import { action, actionPath, keyOf, objectPath, Score, Word } from "../../runtime/store/scratch.ts"
import type { Draws } from "../Draws.ts"
import { mutateBytes } from "../mutateBytes.ts"
import { mutateJson } from "../mutateJson.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"

const ref = ArtifactRef.make("score", [{ name: "value.json", digest: "e".repeat(64), bytes: 7 }])
const KEY = keyOf("fuzz")
const entry = action(KEY, ref)

/** The text of an entry with this body, whose digest is right. */
const signed = (body: string) => `{"sha256":"${ArtifactRef.sha256(body)}","action":${body}}\n`

const damagedEntry = (draws: Draws): Uint8Array => {
  const whole = Action.toText(entry)
  switch (draws.int(4)) {
    case 0:
      return bytesOf(mutateJson(JSON.parse(whole), draws))
    case 1:
      return bytesOf(signed(textOf(mutateBytes(bytesOf(JSON.stringify(entry)), draws))))
    case 2:
      return mutateBytes(bytesOf(whole), draws)
    default:
      return bytesOf(signed(mutateJson(JSON.parse(JSON.stringify(entry)), draws)))
  }
}

/** An entry is the one that its key and digest say, or counts as none. */
export const entries: Target = {
  name: "action entries",
  weight: 10,
  refuses: ["NoEntry"],
  make: (draws) => ({ entry: damagedEntry(draws) }),
  read: ({ entry: bytes }) =>
    Effect.suspend(() => {
      const read = Action.fromText(KEY, textOf(bytes!))
      if (Option.isNone(read)) return Effect.fail({ _tag: "NoEntry", message: "counts as none" })
      holds(Option.isSome(Action.fromText(KEY, Action.toText(read.value))), "an entry is written as it was read")
      return Effect.void
    })
}

const RUN = "20260131-174500-0a1b2c"
const at = "2026-01-31T17:45:00.000Z"
const events = [
  {
    _tag: "RunStarted",
    at,
    run: RUN,
    pipeline: "dpo",
    source: { module: "file:///x.ts", export: "default" },
    params: { beta: 0.1, seed: 0 },
    numerics: null,
    versions: { prefline: "0.1.0", node: "v24", effect: "4.1.0" },
    nodes: [{ id: "a", stage: "load.texts", inputs: {} }],
    outputs: { report: "a" }
  },
  { _tag: "NodeStarted", at, node: "a", attempt: 1 },
  { _tag: "NodeRetried", at, node: "a", attempt: 1, error: "busy" },
  { _tag: "NodeFinished", at, node: "a", key: KEY, status: "computed", output: ref, ms: 3 },
  { _tag: "NodeFailed", at, node: "b", error: { tag: "X", message: "y" }, ms: 1 },
  { _tag: "NodeSkipped", at, node: "c", because: ["b"] },
  { _tag: "RunFinished", at, status: "succeeded", ms: 12 }
]

const damagedJournal = (draws: Draws): Uint8Array => {
  const lines = events.map((event) => (draws.chance(0.25) ? mutateJson(event, draws) : JSON.stringify(event)))
  for (let left = draws.int(3); left > 0; left--) {
    const line = draws.int(lines.length)
    if (draws.chance(0.5)) lines.splice(line, 1)
    else lines.splice(line, 0, draws.pick(lines), "")
    if (lines.length === 0) lines.push("")
  }
  const bytes = bytesOf(`${lines.join("\n")}\n`)
  return draws.chance(0.5) ? mutateBytes(bytes, draws) : bytes
}

/** A journal is read or said to be damaged; damaged or not it is listed, and can be gone on with. */
export const journals: Target = {
  name: "journals",
  weight: 5,
  refuses: ["JournalDamaged", "JournalFailed"],
  make: (draws) => ({ journal: damagedJournal(draws) }),
  read: ({ journal }, folder) =>
    Effect.gen(function* () {
      Fs.mkdirSync(`${folder}/runs/${RUN}`, { recursive: true })
      Fs.writeFileSync(`${folder}/runs/${RUN}/journal.jsonl`, journal!)
      const listed = yield* Journal.list(folder)
      holds(listed.length <= 1, "one journal is at most one run")
      yield* Journal.lastKeys(folder, "dpo")
      const before = yield* Effect.result(Journal.read(folder, RUN))
      const summary = yield* Effect.result(Journal.summarize(folder, RUN))
      const next = { _tag: "NodeStarted", node: "z", attempt: 1 } as const
      yield* Effect.scoped(Effect.flatMap(Journal.open(folder, RUN), ({ append }) => append(next)))
      const after = yield* Effect.result(Journal.read(folder, RUN))
      holds(before._tag === after._tag, "another event makes a journal neither better nor worse")
      if (Result.isSuccess(before) && Result.isSuccess(after))
        holds(after.success.length === before.success.length + 1, "an event more is an event more")
      yield* Effect.fromResult(summary)
    })
}

const FILES = ["format", "object", "entry", "partial"] as const

/** Files of a store damaged one at a time: each is served as it was written, or not at all. */
export const store: Target = {
  name: "store",
  weight: 1,
  refuses: ["StoreUnusable", "ArtifactUnreadable"],
  make: (draws) => ({
    which: Uint8Array.of(draws.int(FILES.length)),
    how: draws.bytes(8),
    words: bytesOf(JSON.stringify(Array.from({ length: 1 + draws.int(4) }, (_, i) => `word ${i}`)))
  }),
  read: ({ how, which, words }, folder) =>
    Effect.gen(function* () {
      const root = `${folder}/store`
      const texts = JSON.parse(textOf(words!)) as ReadonlyArray<string>
      const state = Uint8Array.of(1, 2, 3)
      const written = yield* Effect.gen(function* () {
        const store = yield* Store
        const word = yield* store.write(Word, Stream.fromIterable(texts.map((word) => ({ word }))))
        const score = yield* store.write(Score, Effect.succeed({ score: 1 }))
        yield* store.record(action(KEY, word))
        yield* store.partial("fuzz").save(state)
        return { word, score }
      }).pipe(Effect.provide(Store.layer(root)))
      const damagedFile = {
        format: `${root}/format.json`,
        object: objectPath(root, written.word.files[0]!.digest),
        entry: actionPath(root, KEY),
        partial: `${root}/partial/fuzz`
      }[FILES[which![0]!]!]
      Fs.writeFileSync(damagedFile, damage(Fs.readFileSync(damagedFile), how!))
      yield* Effect.gen(function* () {
        const store = yield* Store
        const kept = yield* store.partial("fuzz").load
        if (Option.isSome(kept)) holds(Buffer.from(kept.value).equals(state), "a partial state is whole or none")
        const found = yield* store.lookup(KEY)
        if (Option.isSome(found)) holds(found.value.output.digest === written.word.digest, "an entry is whole or none")
        const records = yield* store.read(Word, written.word)
        const read = yield* Stream.runCollect(records.stream)
        holds(JSON.stringify(read.map(({ word }) => word)) === JSON.stringify(texts), "an object is whole or refused")
      }).pipe(
        Effect.ensuring(Effect.sync(() => holds(Fs.readdirSync(`${root}/tmp`).length === 0, "nothing half written"))),
        Effect.provide(Store.layer(root))
      )
    })
}

const damage = (bytes: Uint8Array, how: Uint8Array): Uint8Array => {
  const [kind, a, b] = [how[0]! % 4, how[1]! * 256 + how[2]!, how[3]!]
  const copy = Uint8Array.from(bytes)
  if (kind === 0) return copy.subarray(0, a % (copy.length + 1))
  if (kind === 1) return Uint8Array.from([...copy, b])
  copy[a % copy.length]! ^= kind === 2 ? 1 << (b % 8) : b
  return copy
}
