import { Clock, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Executor from "../../executor/Executor.ts"
import { RunFailed } from "../../executor/errors.ts"
import * as Page from "../../report/index.ts"
import { checkWritable, writeText } from "../../report/write.ts"
import { CodeHash } from "../../store/CodeHash.ts"
import { announce } from "../announce.ts"
import * as Display from "../display/Display.ts"
import { storeAt, withServices } from "../environment.ts"
import * as Flags from "../flags.ts"
import { line, Output, printJson } from "../Output.ts"
import * as PipelineSource from "../PipelineSource.ts"
import * as Parameters from "../parameters.ts"
import * as Report from "../report.ts"
import * as Workers from "../workers.ts"

export const run = Command.make(
  "run",
  {
    pipeline: Flags.pipeline,
    set: Flags.set,
    seed: Flags.seed,
    store: Flags.store,
    device: Flags.device,
    concurrency: Flags.concurrency,
    workers: Flags.workers,
    report: Flag.String("report").pipe(
      Flag.withMetavar("<file>"),
      Flag.withDescription("Write the run's report there when it ends, however it ends; see `prefline report`"),
      Flag.optional
    ),
    json: Flags.json
  },
  Effect.fn("cli.run")(function* ({ concurrency, device, json, pipeline, report, seed, set, store, workers }) {
    if (Option.isSome(report)) yield* checkWritable(report.value)
    const params = yield* Parameters.fromFlags(set, seed)
    const found = yield* PipelineSource.find(pipeline)
    const built = yield* Parameters.build(found.pipeline, params)
    const { stderr, stdout } = yield* Output
    const sink = json ? stderr : stdout
    const begun = yield* Clock.currentTimeMillis
    const settle = Effect.fnUntraced(function* (result: Executor.RunResult) {
      yield* Report.outputs(result, sink)
      yield* line(sink, `\n${Report.lastLine(result, (yield* Clock.currentTimeMillis) - begun)}`)
      if (json) yield* printJson(Report.toJson(result))
    })
    let run = Option.none<string>()
    const writeReport = Effect.suspend(() =>
      Effect.gen(function* () {
        if (Option.isNone(report) || Option.isNone(run)) return
        yield* writeText(report.value, yield* Page.page(run.value))
        yield* line(sink, `wrote ${report.value}`)
      })
    )
    const compute = Effect.gen(function* () {
      const count = yield* Workers.count(workers, [built.graph])
      yield* announce(built, sink, count)
      const display = yield* Display.make(sink)
      const listen = (event: Executor.Event) => {
        if (event._tag === "Started") run = Option.some(event.run)
        return display(event)
      }
      return yield* Executor.run(built, { source: found.source, concurrency, listen }).pipe(Workers.provide(count))
    })
    yield* Effect.scoped(compute).pipe(
      Effect.tap(settle),
      Effect.tapError((error) => (error instanceof RunFailed ? settle(error.result) : Effect.void)),
      Effect.onExit(() => writeReport),
      (effect) => withServices(effect, { device, layer: found.layer, nodes: built.graph.nodes }),
      Effect.provide([storeAt(store), CodeHash.layer])
    )
  })
).pipe(
  Command.withDescription("Runs a pipeline: what is cached is served, the rest is computed"),
  Command.withExamples([
    { command: "npm run prefline -- run dpo", description: "Run it, or go on where an interrupted run stopped" },
    { command: "npm run prefline -- run dpo --set beta=0.2 --seed 1", description: "With other parameters" },
    { command: "npm run prefline -- run ./mine.ts#sweep", description: "A pipeline from a file of your own" },
    { command: "npm run prefline -- run ./mine.ts#sweep --workers 1", description: "One node after the other" }
  ])
)
