import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Page from "../../report/index.ts"
import { writeText } from "../../report/write.ts"
import { existingStoreAt } from "../environment.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { Output, print, printJson } from "../Output.ts"
import * as RunView from "../RunView.ts"

export const report = Command.make(
  "report",
  {
    run: Argument.String("run").pipe(
      Argument.withDescription(
        "A run's id, or a pipeline's name for its newest run; the newest run of all if left out"
      ),
      Argument.optional
    ),
    out: Flag.String("out").pipe(
      Flag.withMetavar("<file>"),
      Flag.withDescription("Where the page goes (<pipeline>-<run>.html unless told; - for stdout)"),
      Flag.optional
    ),
    store: Flags.store,
    json: Flags.json
  },
  Effect.fn("cli.report")(
    function* ({ json, out, run }) {
      const facts = yield* Page.gather(yield* RunView.findId(run))
      const { view } = facts
      const text = yield* Page.render(facts)
      if (!json && Option.contains(out, "-")) return yield* (yield* Output).stdout.write(text)
      const file = Option.getOrElse(
        Option.filter(out, (name) => name !== "-"),
        () => `${view.pipeline.replaceAll(/[^A-Za-z0-9._-]+/g, "-")}-${view.run}.html`
      )
      const bytes = yield* writeText(file, text)
      if (json) return yield* printJson({ file, bytes, ...Page.toJson(facts) })
      yield* print(`wrote ${file}, ${Format.bytes(bytes)}: run ${view.run} of ${view.pipeline}, ${view.status}`)
    },
    (effect, { store }) => Effect.provide(effect, existingStoreAt(store))
  )
).pipe(
  Command.withDescription("A run as one HTML page that needs no network: results, curves, answers, graph, provenance"),
  Command.withExamples([
    { command: "npm run prefline -- report", description: "The newest run" },
    { command: "npm run prefline -- report dpo --out dpo.html", description: "The newest run of a pipeline" },
    { command: "npm run prefline -- run dpo --report dpo.html", description: "Run it, and write the page at the end" }
  ])
)
