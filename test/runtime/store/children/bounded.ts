/** Writes, inspects and reads 400 MB: `bounded.ts <root>`. Prints how much memory that took beyond what 60 MB take. */
import { Effect, Stream } from "effect"
import type { ArtifactRef } from "../../../../runtime/store/ArtifactRef.ts"
import { Store } from "../../../../runtime/store/Store.ts"
import { Files, Word } from "../scratch.ts"

/** Chunks of changing sizes around a megabyte, made one at a time, as tensors of a checkpoint are. */
const chunks = (megabytes: number) =>
  Stream.range(1, megabytes).pipe(
    Stream.rechunk(1),
    Stream.map((i) => new Uint8Array(1_000_000 + 1000 * (i % 7)).fill(i))
  )

const check = Effect.fnUntraced(function* (ref: ArtifactRef) {
  const store = yield* Store
  const state = yield* store.inspect(ref)
  const bytes = yield* Stream.runFold(
    store.open(ref).open(ref.files[0]!.name),
    () => 0,
    (sum, chunk) => sum + chunk.length
  )
  return { state, bytes, expected: ref.files[0]!.bytes, peakMB: process.resourceUsage().maxRSS / 1024 }
})

const main = Effect.gen(function* () {
  const store = yield* Store
  const files = (megabytes: number) =>
    store.write(
      { ...Files, encode: () => Stream.succeed({ name: "file", bytes: chunks(megabytes) }) },
      Effect.succeed([])
    )
  const records = Stream.range(1, 5000).pipe(Stream.map((i) => ({ word: `${i}`.padStart(4000) })))
  yield* check(yield* store.write(Word, records))
  const small = yield* check(yield* files(40))
  const large = yield* check(yield* files(400))
  process.stdout.write(JSON.stringify({ ...large, grownMB: large.peakMB - small.peakMB }))
}).pipe(Effect.provide(Store.layer(process.argv[2]!)))

await Effect.runPromise(main)
