import { Clock, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import * as Replay from "../../executor/Replay.ts"
import { existingStoreAt } from "../environment.ts"
import * as Flags from "../flags.ts"
import { line, Output, printJson } from "../Output.ts"
import * as RunView from "../RunView.ts"
import * as Report from "../report.ts"

export const replay = Command.make(
  "replay",
  {
    run: Argument.String("run").pipe(
      Argument.withDescription(
        "A run's id, or a pipeline's name for its newest run; the newest run of all if left out"
      ),
      Argument.optional
    ),
    store: Flags.store,
    json: Flags.json
  },
  Effect.fn("cli.replay")(function* ({ json, run, store }) {
    const { stderr, stdout } = yield* Output
    const sink = json ? stderr : stdout
    const begun = yield* Clock.currentTimeMillis
    yield* Effect.gen(function* () {
      const result = yield* Replay.replay(yield* RunView.findId(run))
      yield* Report.outputs(result, sink)
      yield* line(sink, `\n${Report.lastLine(result, (yield* Clock.currentTimeMillis) - begun)}`)
      if (json) yield* printJson(Report.toJson(result))
    }).pipe(Effect.provide(existingStoreAt(store)))
  })
).pipe(
  Command.withDescription("Shows a finished run's results again, from the store alone, each checked by its digest"),
  Command.withExamples([
    { command: "npm run prefline -- replay", description: "The newest run" },
    { command: "npm run prefline -- replay dpo", description: "The newest run of a pipeline" }
  ])
)
