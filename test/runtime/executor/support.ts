/** Small stages without tensors, and a store in a temporary folder, for tests of the executor. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Deferred, Effect, Layer, Option, Ref, Schedule, Schema, Stream } from "effect"
import * as Artifact from "../../../dsl/Artifact.ts"
import { Index, withDefault } from "../../../dsl/Params.ts"
import type * as Pipeline from "../../../dsl/Pipeline.ts"
import * as Stage from "../../../dsl/Stage.ts"
import * as Executor from "../../../runtime/executor/Executor.ts"
import { CodeHash } from "../../../runtime/store/CodeHash.ts"
import { Store } from "../../../runtime/store/Store.ts"

const module = import.meta.url

export const Numbers = Artifact.records("numbers", Schema.Finite)
export const Total = Artifact.value("total", Schema.Finite)

/** How often each stage has run, by name. */
export const executions = new Map<string, number>()
const counted = (name: string) => executions.set(name, (executions.get(name) ?? 0) + 1)

export const count = Stage.make({
  name: "count",
  description: "0, 1, …",
  module,
  params: { to: Index.pipe(withDefault(5)) },
  output: Numbers,
  run: ({ params }) => {
    counted("count")
    return Stream.take(
      Stream.iterate(0, (n) => n + 1),
      params.to
    )
  }
})

export const noise = Stage.make({
  name: "noise",
  description: "Adds a draw to each number",
  module,
  params: {},
  input: Numbers,
  output: Numbers,
  random: true,
  run: ({ input, rng }) => {
    counted("noise")
    return Stream.zipWithIndex(input.stream).pipe(Stream.map(([x, i]) => x + rng.uniform(i)))
  }
})

export const atMost = Stage.make({
  name: "atMost",
  description: "Numbers up to a limit",
  module,
  params: { limit: Schema.Finite },
  input: Numbers,
  output: Numbers,
  run: ({ input, params }) => {
    counted("atMost")
    return Stream.filter(input.stream, (x) => x <= params.limit)
  }
})

export const sum = Stage.make({
  name: "sum",
  description: "The sum",
  module,
  params: { scale: Schema.Finite.pipe(withDefault(1)) },
  input: Numbers,
  output: Total,
  run: ({ input, params }) => {
    counted("sum")
    return Effect.map(
      Stream.runFold(
        input.stream,
        () => 0,
        (a, b) => a + b
      ),
      (total) => params.scale * total
    )
  }
})

export class Flaky extends Schema.TaggedError<Flaky>()("Flaky", { retryable: Schema.Boolean }) {
  override get message() {
    return "the line is busy"
  }
}

/** Fails the first `failures` times in a process. */
export const flaky = Stage.make({
  name: "flaky",
  description: "Fails, then works",
  module,
  params: {
    failures: Index,
    retryable: Schema.Boolean.pipe(withDefault(true)),
    id: Schema.String.pipe(withDefault(""))
  },
  output: Total,
  retry: Schedule.recurs(3),
  run: ({ params }) =>
    Effect.suspend(() => {
      const name = `flaky${params.id}`
      counted(name)
      return executions.get(name)! <= params.failures
        ? Effect.fail(new Flaky({ retryable: params.retryable }))
        : Effect.succeed(executions.get(name)!)
    })
})

/** Lets a test stop the world: tells when it runs and waits to be let go. */
export const gate = { entered: Deferred.makeUnsafe<void>(), open: Deferred.makeUnsafe<void>() }
export const resetGate = () => {
  gate.entered = Deferred.makeUnsafe<void>()
  gate.open = Deferred.makeUnsafe<void>()
}
export const gated = Stage.make({
  name: "gated",
  description: "Waits",
  module,
  params: { id: Index.pipe(withDefault(0)) },
  output: Total,
  run: ({ params }) =>
    Effect.gen(function* () {
      counted("gated")
      yield* Deferred.succeed(gate.entered, undefined)
      yield* Deferred.await(gate.open)
      return params.id
    })
})

export const endless = Stage.make({
  name: "endless",
  description: "Never ends",
  module,
  params: {},
  output: Total,
  timeout: "50 millis",
  run: () => Effect.as(Effect.never, 0)
})

export const quitter = Stage.make({
  name: "quitter",
  description: "Interrupts itself",
  module,
  params: {},
  output: Total,
  run: () => Effect.as(Effect.interrupt, 0)
})

/** Saves how often it has begun, and makes of that what it found. */
export const resuming = Stage.make({
  name: "resuming",
  description: "Goes on from partial state",
  module,
  params: {},
  output: Total,
  run: ({ partial }) =>
    Effect.gen(function* () {
      const found = Option.match(yield* partial.load, { onNone: () => 0, onSome: ([begun]) => begun! })
      yield* partial.save(Uint8Array.of(found + 1))
      return found
    })
})

/** Reads from outside: the world's number, which a test may change at any time. */
export const world = { number: 1, changeWhileReading: false }
export const observe = Stage.make({
  name: "observe",
  description: "The world's number",
  module,
  params: { from: Schema.String.pipe(withDefault("here")) },
  output: Total,
  source: { params: ["from"], fingerprint: () => Effect.sync(() => world.number) },
  run: () =>
    Effect.sync(() => {
      counted("observe")
      const { number } = world
      if (world.changeWhileReading) world.number++
      return number
    })
})

export const temporaryStore = () => {
  const root = mkdtempSync(join(tmpdir(), "prefline-"))
  const layer = Layer.mergeAll(Store.layer(root), CodeHash.layer)
  return { root, layer, remove: () => rmSync(root, { recursive: true, force: true }) }
}

export const source = { module, export: "none" }

export const run = <E, R>(built: Pipeline.Built<E, R>, options: Partial<Executor.Options> = {}) =>
  Executor.run(built, { source, ...options })

export const statuses = (result: Executor.RunResult) =>
  Object.fromEntries(result.nodes.map(({ id, status }) => [id, status]))

export const digests = (result: Executor.RunResult) =>
  Object.fromEntries(result.nodes.map(({ id, output }) => [id, output?.digest]))

export const events = Effect.map(Ref.make<ReadonlyArray<Executor.Event>>([]), (ref) => ({
  listen: (event: Executor.Event) => Ref.update(ref, (all) => [...all, event]),
  all: Ref.get(ref)
}))
