import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Archive from "../../archive/index.ts"
import { existingStoreAt } from "../environment.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { print, printJson } from "../Output.ts"
import * as RunView from "../RunView.ts"

export const exportRun = Command.make(
  "export",
  {
    run: Argument.String("run").pipe(
      Argument.withDescription(
        "A run's id, or a pipeline's name for its newest run; the newest run of all if left out"
      ),
      Argument.optional
    ),
    out: Flag.String("out").pipe(
      Flag.withMetavar("<file.tar.gz>"),
      Flag.withDescription("The archive to write (<run>.tar.gz in this folder unless told)"),
      Flag.optional
    ),
    store: Flags.store,
    json: Flags.json
  },
  Effect.fn("cli.export")(
    function* ({ json, out, run }) {
      const id = yield* RunView.findId(run)
      const exported = yield* Archive.exportRun(
        id,
        Option.getOrElse(out, () => `${id}.tar.gz`)
      )
      if (json) return yield* printJson(exported)
      const { actions, bytes, file, objects } = exported
      yield* print(
        `${file}: run ${id}, ${Format.count(objects, "object")}, ${Format.count(actions, "key")}, ${Format.bytes(bytes)}`
      )
    },
    (effect, { store }) => Effect.provide(effect, existingStoreAt(store))
  )
).pipe(
  Command.withDescription("Writes a run with all that its replay needs into one archive"),
  Command.withExamples([
    { command: "npm run prefline -- export dpo --out dpo.tar.gz", description: "The newest run of a pipeline" },
    { command: "npm run prefline -- import dpo.tar.gz", description: "On another machine" }
  ])
)
