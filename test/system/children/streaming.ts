/**
 * Passes records through source, score, filter and store: `streaming.ts <store> <count> [<count> …]`, each count a run of
 * its own. Prints for each how many records came out and how much memory the process has needed at most so far.
 */
import { Effect, Layer, Stream } from "effect"
import { type CompletionGroup, Completions } from "../../../dsl/artifacts.ts"
import { Count } from "../../../dsl/Params.ts"
import * as Pipeline from "../../../dsl/Pipeline.ts"
import * as Stage from "../../../dsl/Stage.ts"
import * as Executor from "../../../runtime/executor/Executor.ts"
import { CodeHash } from "../../../runtime/store/CodeHash.ts"
import { Store } from "../../../runtime/store/Store.ts"
import { filter } from "../../../stages/filter/filter.ts"
import { scoreBounds } from "../../../stages/filter/index.ts"
import { length } from "../../../stages/score/length.ts"
import { score } from "../../../stages/score/score.ts"

/** Prompts with an answer of 5 or of 6 words each, about 200 bytes a record. */
const generated = Stage.make({
  name: "generated",
  description: "Answers out of nothing",
  module: import.meta.url,
  params: { count: Count },
  output: Completions,
  run: ({ params }) =>
    Stream.range(1, params.count).pipe(
      Stream.map((i): CompletionGroup => {
        const text = ` ${`${i}`.padStart(40, "0")} was the answer${i % 2 === 0 ? "" : " then"} given`
        return {
          prompt: { id: `${i}`, text: `Question ${i}`.padEnd(40, "?") },
          completions: [{ text, finish: "stop" }]
        }
      })
    )
})

const pipeline = Pipeline.make("streaming", { description: "", params: { count: Count } }, ({ count }) => ({
  kept: generated({ count }).pipe(score({ reward: length({ target: 5 }) }), filter({ by: scoreBounds({ min: 0 }) }))
}))

const [root, ...counts] = process.argv.slice(2) as [string, ...Array<string>]

const pass = Effect.fnUntraced(function* (count: number) {
  const built = yield* Pipeline.build(pipeline, { count })
  const { nodes, outputs } = yield* Executor.run(built, { source: { module: import.meta.url, export: "pipeline" } })
  const store = yield* Store
  const kept = yield* store.read(built.graph.byId.get(built.graph.outputs["kept"]!)!.node.artifact, outputs["kept"]!)
  const records = yield* Stream.runCount(kept.stream as Stream.Stream<unknown, Error>)
  const bytes = nodes.map(({ output }) => output!.files[0]!.bytes)
  console.log(JSON.stringify({ count, records, bytes, peakMB: process.resourceUsage().maxRSS / 1024 }))
})

const all = Effect.forEach(counts, (count) => pass(Number(count)), { discard: true }).pipe(
  Effect.provide(Layer.mergeAll(Store.layer(root), CodeHash.layer))
)
await Effect.runPromise(all as Effect.Effect<void, Error>)
