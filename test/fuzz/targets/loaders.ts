import * as Fs from "node:fs"
import { gzipSync } from "node:zlib"
import { Effect, Result, Stream } from "effect"
import type * as Artifact from "../../../dsl/Artifact.ts"
import * as Json from "../../../dsl/Json.ts"
import type * as Stage from "../../../dsl/Stage.ts"
import { Store } from "../../../runtime/store/Store.ts"
import { dialogues } from "../../../stages/load/dialogues.ts"
import { llama2c as llama2cStage } from "../../../stages/load/llama2c.ts"
import { pairs } from "../../../stages/load/pairs.ts"
import { prompts } from "../../../stages/load/prompts.ts"
import { ratings } from "../../../stages/load/ratings.ts"
import { texts } from "../../../stages/load/texts.ts"
import * as Llama2c from "../../stages/load/llama2cFile.ts"
import { collect } from "../../stages/support.ts"
import { call } from "../../stages/tinyPolicy.ts"
import type { Draws } from "../Draws.ts"
import { mutateBytes } from "../mutateBytes.ts"
import { mutateJson } from "../mutateJson.ts"
import { bytesOf, holds, type Target } from "../Target.ts"

const talk = (answer: string) => `\n\nHuman: hi\n\nAssistant: hello\n\nHuman: why?\n\nAssistant:${answer}`
const completion = (text: string) => ({ text, finish: "stop" })

/** Each loader of JSON lines with a record of its own. */
const loaders: ReadonlyArray<readonly [{ readonly stage: Stage.Any }, Json.JsonObject, Json.JsonObject]> = [
  [texts, {}, { id: "a", text: "one two", label: 1 }],
  [texts, { lowercase: true, minWords: 2, maxWords: 9, limit: 3 }, { text: "One Two Ünïcode" }],
  [prompts, { limit: 2 }, { id: "p", text: "the food" }],
  [
    pairs,
    {},
    {
      id: "x",
      prompt: { id: "p", text: "the food" },
      chosen: completion(" a"),
      rejected: completion(" b"),
      margin: 1,
      others: { gold: { completion: completion(" c") } },
      numbers: { weight: 0.5 }
    }
  ],
  [pairs, { format: "trl" }, { prompt: "a", chosen: "b", rejected: "c", margin: 0.25, extra: [1] }],
  [
    ratings,
    {},
    {
      id: "r",
      target: "positive",
      source: "it was bad",
      candidates: [{ text: "good", grammaticality: 4, attribute: 5, topic: 1 }]
    }
  ],
  [dialogues, {}, { chosen: talk(" so"), rejected: talk(" no") }],
  [dialogues, { unpaired: "drop" }, { chosen: talk(" so"), rejected: talk(" no") }]
]

const lines = (record: Json.JsonObject, draws: Draws) => {
  const line = () => (draws.chance(0.5) ? mutateJson(record, draws) : JSON.stringify(record))
  const text = Array.from({ length: 1 + draws.int(4) }, line).join(draws.pick(["\n", "\r\n", "\n\n", "\r"]))
  return (draws.chance(0.05) ? "\ufeff" : "") + text + draws.pick(["", "\n"])
}

const isGzip = (file: Uint8Array) => file[0] === 0x1f && file[1] === 0x8b

/** In one of so many cases the records go to a store, which keeps no part of what is refused. */
const STORED = 24

export const jsonLines: Target = {
  name: "JSON-lines loaders",
  weight: 12,
  refuses: ["RecordInvalid", "FileUnreadable"],
  make: (draws) => {
    const which = draws.int(loaders.length)
    const text = bytesOf(lines(loaders[which]![2], draws))
    const plain = draws.chance(0.2) ? mutateBytes(text, draws) : text
    const packed = () => new Uint8Array(gzipSync(plain))
    const file = draws.chance(0.1) ? (draws.chance(0.5) ? mutateBytes(packed(), draws) : packed()) : plain
    return { loader: Uint8Array.of(which, draws.int(STORED)), file }
  },
  read: ({ file, loader }, folder) =>
    Effect.gen(function* () {
      const [{ stage }, params] = loaders[loader![0]!]!
      const path = `${folder}/records.jsonl${isGzip(file!) ? ".gz" : ""}`
      Fs.writeFileSync(path, file!)
      const records = yield* Effect.result(collect({ stage }, { params: { ...params, path } }))
      if (loader![1] === 0) yield* storedOrNothing(`${folder}/store`, stage.output, records)
      const items = yield* Effect.fromResult(records)
      const artifact = stage.output as Artifact.Any
      const [encoded] = yield* Stream.runCollect(artifact.encode(Stream.fromIterable(items)))
      const bytes = Uint8Array.from(Buffer.concat(yield* Stream.runCollect(encoded!.bytes)))
      const decoded = yield* artifact.decode({ names: ["records.jsonl"], open: () => Stream.succeed(bytes) })
      const again = yield* Stream.runCollect(decoded.stream as Stream.Stream<unknown, Artifact.DecodeError>)
      holds(Json.canonicalUnsafe(again) === Json.canonicalUnsafe(items), "loaded records can be stored and read")
    })
}

const storedOrNothing = Effect.fnUntraced(function* (
  root: string,
  artifact: Artifact.Any,
  records: Result.Result<ReadonlyArray<unknown>, unknown>
) {
  const produced = Result.isSuccess(records)
    ? Stream.fromIterable(records.success)
    : Stream.concat(Stream.fromIterable([]), Stream.fail(records.failure))
  const written = yield* Effect.result(
    Effect.provide(
      Store.use((store) => store.write(artifact, produced)),
      Store.layer(root)
    )
  )
  const objects = Fs.globSync(`${root}/objects/*/*`).length
  holds(Fs.readdirSync(`${root}/tmp`).length === 0, "the store has no half-written file")
  holds(objects === (Result.isSuccess(written) ? 1 : 0), "the store has all of the records or none")
})

/** A model and a vocabulary as llama2.c writes them: lengths, counts and sizes damaged. */
export const llama2c: Target = {
  name: "llama2.c and SentencePiece",
  weight: 8,
  refuses: ["Llama2cInvalid", "VocabularyInvalid"],
  make: (draws) => ({
    model: draws.chance(0.6) ? mutateBytes(Llama2c.model, draws) : Llama2c.model,
    tokenizer: draws.chance(0.6) ? mutateBytes(Llama2c.tokenizer, draws) : Llama2c.tokenizer
  }),
  read: ({ model, tokenizer }, folder) =>
    Effect.gen(function* () {
      Fs.writeFileSync(`${folder}/model.bin`, model!)
      Fs.writeFileSync(`${folder}/tokenizer.bin`, tokenizer!)
      const params = { model: `${folder}/model.bin`, tokenizer: `${folder}/tokenizer.bin` }
      const made = yield* call(llama2cStage, { params })
      const artifact = llama2cStage.stage.output as Artifact.Any
      const files = yield* Stream.runCollect(artifact.encode(Effect.succeed(made)))
      const stored = new Map<string, Uint8Array>()
      for (const { bytes, name } of files) stored.set(name, Buffer.concat(yield* Stream.runCollect(bytes)))
      yield* Effect.orDie(
        artifact.decode({ names: [...stored.keys()], open: (name) => Stream.succeed(stored.get(name)!) })
      )
    }) as Effect.Effect<void, unknown>
}
