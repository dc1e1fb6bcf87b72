import { Effect } from "effect"
import { Command } from "effect/cli"
import * as Journal from "../../store/Journal.ts"
import { Store } from "../../store/Store.ts"
import { existingStoreAt } from "../environment.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { Output, print, printJson, type Style } from "../Output.ts"

export const runs = Command.make(
  "runs",
  { store: Flags.store, json: Flags.json },
  Effect.fn("cli.runs")(
    function* ({ json }) {
      const summaries = yield* Journal.list((yield* Store).root)
      if (json) return yield* printJson(summaries.map((summary) => ({ ...summary, ms: summary.ms ?? null })))
      if (summaries.length === 0) return yield* print("no runs yet")
      const { style } = (yield* Output).stdout
      yield* print(Format.table(summaries.map((summary) => row(summary, style))))
    },
    (effect, { store }) => Effect.provide(effect, existingStoreAt(store))
  )
).pipe(
  Command.withDescription("The runs of a store, newest first"),
  Command.withExamples([{ command: "npm run prefline -- runs", description: "What was run, when, and how it ended" }])
)

const row = ({ at, ms, nodes, params, pipeline, run, status }: Journal.Summary, style: Style) => [
  run,
  paint(status, style),
  `${at.slice(0, 16).replace("T", " ")} UTC`,
  ms === undefined ? "" : Format.duration(ms),
  Format.count(nodes, "node"),
  style.bold(pipeline),
  style.dim(Format.settings(params))
]

const paint = (status: Journal.Summary["status"], style: Style) =>
  status === "succeeded" ? style.green(status) : status === "failed" ? style.red(status) : style.yellow(status)
