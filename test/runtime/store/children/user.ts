/**
 * Uses a store as runs do, for so many milliseconds: `user.ts <root> <ms> <grace> <label>`. Whatever it is told is there
 * it reads at once. Prints how often that was not so; a step that took longer than the grace does not count.
 */
import { Effect, Option } from "effect"
import { Store } from "../../../../runtime/store/Store.ts"
import { action, keyOf, Score } from "../scratch.ts"

const [root, ms, grace] = process.argv.slice(2) as [string, string, string]
const told = { served: 0, made: 0, lost: [] as Array<string>, slow: 0 }

const LIMIT = Number(grace)

/** What is there at first is used a third of the grace later: entries that are nearly too old must live that long. */
const step = Effect.fnUntraced(function* (i: number) {
  const store = yield* Store
  const begun = performance.now()
  const known = yield* store.lookup(keyOf(`${i}`))
  const found = Option.isSome(known) ? yield* store.inspect(known.value.output) : "unknown"
  const output =
    Option.isSome(known) && found === "intact"
      ? known.value.output
      : (yield* store.record(action(keyOf(`${i}`), yield* store.write(Score, Effect.succeed({ score: i % 7 }))), {
          replace: true
        })).output
  yield* Effect.sleep(LIMIT / 3)
  const read = yield* Effect.result(store.read(Score, output))
  if (performance.now() - begun > LIMIT) told.slow++
  else if (found === "missing") told.lost.push(`the entry of ${i} pointed at nothing`)
  else if (read._tag === "Failure") told.lost.push(`${i}: ${read.failure.message}`)
  else told[found === "intact" ? "served" : "made"]++
  yield* Effect.sleep(LIMIT * Math.random())
})

const end = performance.now() + Number(ms)
/** Every key is asked for again after a third to four thirds of the grace: some were just collected, some just not. */
const main = Effect.forEach(
  Array.from({ length: 30 }, (_, i) => i),
  (i) => Effect.repeat(step(i), { while: () => performance.now() < end }),
  { concurrency: "unbounded", discard: true }
)
await Effect.runPromise(Effect.provide(main, Store.layer(root)))
process.stdout.write(JSON.stringify(told))
