import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Archive from "../../archive/index.ts"
import { storeAt } from "../environment.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { print, printJson } from "../Output.ts"

export const importRun = Command.make(
  "import",
  {
    file: Argument.String("file").pipe(Argument.withDescription("An archive that `prefline export` wrote")),
    limit: Flag.Int("limit").pipe(
      Flag.withMetavar("<megabytes>"),
      Flag.withDescription("Refuse an archive that declares more than this (17180 unless told)"),
      Flag.filter(
        (n) => n >= 1,
        () => "a number of at least 1"
      ),
      Flag.optional
    ),
    store: Flags.store,
    json: Flags.json
  },
  Effect.fn("cli.import")(
    function* ({ file, json, limit }) {
      const imported = yield* Archive.importRun(
        file,
        Option.match(limit, { onNone: () => ({}), onSome: (megabytes) => ({ limit: megabytes * 1e6 }) })
      )
      if (json) return yield* printJson(imported)
      const { actions, known, objects, pipeline, run } = imported
      const what = `run ${run} of ${pipeline}, ${Format.count(objects, "object")}, ${Format.count(actions, "key")}`
      yield* print(`${known ? "the store had" : "imported"} ${what}; \`npm run prefline -- replay ${run}\``)
    },
    (effect, { store }) => Effect.provide(effect, storeAt(store))
  )
).pipe(
  Command.withDescription("Takes an exported run into the store, each object checked by its digest"),
  Command.withExamples([
    { command: "npm run prefline -- import dpo.tar.gz", description: "Then replay and verify it by its id" }
  ])
)
