/**
 * Writes to a store until it is killed or has done `count` keys: `writer.ts <root> <first key> <count> <label>`. Every
 * key's output depends on the label, as where a computation is not bitwise reproducible. Prints what is in force.
 */
import { Effect, Stream } from "effect"
import { Store } from "../../../../runtime/store/Store.ts"
import { action, keyOf, Word } from "../scratch.ts"

const [root, first, count, label] = process.argv.slice(2) as [string, string, string, string]

/** Small and large outputs by turns; a third of them the same for every key and label. */
const words = (i: number) =>
  i % 3 === 0
    ? Stream.make({ word: "the same" })
    : Stream.range(1, 12).pipe(Stream.map((n) => ({ word: `${i} ${label} ${n}`.padStart(i % 3 === 1 ? 30 : 30_000) })))

const main = Store.use(
  Effect.fnUntraced(function* (store) {
    process.stdout.write("ready\n")
    const keys = Array.from({ length: Number(count) }, (_, i) => Number(first) + i)
    yield* Effect.forEach(
      keys,
      Effect.fnUntraced(function* (i) {
        const output = yield* store.write(Word, words(i))
        yield* store.partial(keyOf(`partial ${i % 5}`)).save(Buffer.alloc(2000, i))
        const inForce = yield* store.record(action(keyOf(`${i}`), output), { replace: true })
        process.stdout.write(`${i} ${inForce.output.digest}\n`)
      }),
      { concurrency: 4 }
    )
  })
).pipe(Effect.provide(Store.layer(root)))

await Effect.runPromise(main)
