/**
 * Runs a pipeline in a process of its own: `run.ts <module>#<export> <store> [<params as JSON>] [<worker threads>]`. Prints
 * events, one JSON text a line: the plan, what the executor tells, and at last how it ended. It never calls `process.exit`: whatever keeps
 * the event loop busy shows as a process that does not end. SIGINT interrupts the run.
 */
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { Cause, Effect, Exit, Layer } from "effect"
import * as Pipeline from "../../../dsl/Pipeline.ts"
import { Device } from "../../../runtime/device/Device.ts"
import * as Executor from "../../../runtime/executor/Executor.ts"
import * as Plan from "../../../runtime/executor/Plan.ts"
import * as Pool from "../../../runtime/executor/pool/Pool.ts"
import { CodeHash } from "../../../runtime/store/CodeHash.ts"
import { Store } from "../../../runtime/store/Store.ts"

const [target, root, params = "{}", workers = "1"] = process.argv.slice(2) as [string, string, string?, string?]
const [file, name] = target.split("#") as [string, string]
const module = pathToFileURL(resolve(file)).href

const say = (line: object) => Effect.sync(() => void process.stdout.write(`${JSON.stringify(line)}\n`))

const program = Effect.gen(function* () {
  const exports = yield* Effect.promise(() => import(module) as Promise<Readonly<Record<string, Pipeline.Pipeline>>>)
  const built = yield* Pipeline.build(exports[name]!, JSON.parse(params))
  const planned = yield* Plan.make(built)
  yield* say({
    _tag: "Planned",
    nodes: Object.fromEntries(planned.map(({ id, status, why }) => [id, { status, why }]))
  })
  const listen = (event: Executor.Event) => (event._tag === "Started" ? Effect.void : say(event))
  const run = Executor.run(built, { source: { module, export: name }, listen })
  const { nodes } = yield* workers === "1" ? run : Effect.provide(run, Pool.layer(Number(workers)))
  yield* say({
    _tag: "Result",
    statuses: Object.fromEntries(nodes.map(({ id, status }) => [id, status])),
    digests: Object.fromEntries(nodes.map(({ id, output }) => [id, output?.digest]))
  })
})

const layer = Layer.mergeAll(Store.layer(root), CodeHash.layer, Device.layer("wasm"))
const fiber = Effect.runFork(
  Effect.provide(program as Effect.Effect<void, unknown, Layer.Success<typeof layer>>, layer)
)
process.once("SIGINT", () => fiber.interruptUnsafe())
fiber.addObserver((exit) => {
  const outcome = Exit.isSuccess(exit) ? "succeeded" : Exit.hasInterrupts(exit) ? "interrupted" : "failed"
  if (Exit.isFailure(exit) && outcome === "failed") console.error(Cause.pretty(exit.cause))
  Effect.runSync(say({ _tag: "Ended", outcome }))
  process.exitCode = outcome === "succeeded" ? 0 : 1
})
