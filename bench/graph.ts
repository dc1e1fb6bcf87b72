/**
 * What the runtime itself costs: wide graphs of stages that do nothing, computed into an empty store and then served
 * from it. Prints milliseconds per node and how they grow with the graph; `--json` prints one line for machines.
 *
 * The parts are fixed costs too: a node is keyed, looked up, its 3-byte artifact is hashed and synced to disk, the action
 * table and the journal are written. `fsync` alone is measured beside it, since disks differ.
 */
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs"
import { join } from "node:path"
import { Effect, Layer, Schema } from "effect"
import * as Artifact from "../dsl/Artifact.ts"
import { Index } from "../dsl/Params.ts"
import * as Pipeline from "../dsl/Pipeline.ts"
import * as Stage from "../dsl/Stage.ts"
import * as Executor from "../runtime/executor/Executor.ts"
import { CodeHash } from "../runtime/store/CodeHash.ts"
import { Store } from "../runtime/store/Store.ts"

const Number_ = Artifact.value("number", Schema.Int)

const empty = Stage.make({
  name: "empty",
  description: "Nothing",
  module: import.meta.url,
  params: { id: Index },
  output: Number_,
  run: ({ params }) => Effect.succeed(params.id)
})

const after = Stage.make({
  name: "after",
  description: "Its input",
  module: import.meta.url,
  params: { id: Index },
  input: Number_,
  output: Number_,
  run: ({ input, params }) => Effect.succeed(input + params.id)
})

/** Half sources, half stages that follow one. */
const wide = (nodes: number) =>
  Pipeline.make("wide", { description: "Empty stages", params: {} }, () =>
    Object.fromEntries(
      Array.from({ length: nodes / 2 }, (_, id) => [`out${id}`, empty({ id }).pipe(after({ id }))] as const)
    )
  )

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const begun = performance.now()
    const value = yield* effect
    return [performance.now() - begun, value] as const
  })

interface Row {
  readonly nodes: number
  readonly computed: number
  readonly cached: number
}

const measure = Effect.fnUntraced(function* (nodes: number) {
  const root = mkdtempSync(join(process.cwd(), ".prefline-bench-"))
  const source = { module: import.meta.url, export: "none" }
  return yield* Effect.gen(function* () {
    const built = yield* Pipeline.build(wide(nodes))
    const [computed, first] = yield* timed(Executor.run(built, { source }))
    const [cached, second] = yield* timed(Executor.run(built, { source }))
    const statuses = new Set([...first.nodes, ...second.nodes].map(({ status }) => status))
    if (statuses.size !== 2) return yield* Effect.die(new Error(`unexpected statuses ${[...statuses]}`))
    return { nodes, computed: computed / nodes, cached: cached / nodes }
  }).pipe(
    Effect.provide(Layer.mergeAll(Store.layer(root), CodeHash.layer)),
    Effect.ensuring(Effect.sync(() => rmSync(root, { recursive: true, force: true })))
  )
})

const fsyncCost = () => {
  const root = mkdtempSync(join(process.cwd(), ".prefline-bench-"))
  const begun = performance.now()
  for (let i = 0; i < 50; i++) {
    const file = openSync(join(root, String(i)), "w")
    writeSync(file, "1\n")
    fsyncSync(file)
    closeSync(file)
  }
  rmSync(root, { recursive: true, force: true })
  return (performance.now() - begun) / 50
}

const sizes = process.argv.includes("--quick") ? [100, 1_000] : [100, 1_000, 3_000, 10_000]
const rows = await Effect.runPromise(Effect.forEach(sizes, measure) as unknown as Effect.Effect<ReadonlyArray<Row>>)
if (process.argv.includes("--json")) console.log(JSON.stringify({ fsync: fsyncCost(), rows }))
else {
  console.log(`one file written and synced, one after the other: ${fsyncCost().toFixed(2)} ms`)
  console.log("nodes   computed ms/node   cached ms/node")
  for (const { cached, computed, nodes } of rows) {
    console.log(
      `${String(nodes).padStart(5)}   ${computed.toFixed(3).padStart(16)}   ${cached.toFixed(3).padStart(14)}`
    )
  }
}
