import { Effect, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { Store } from "../../store/Store.ts"
import { existingStoreAt } from "../environment.ts"
import * as Flags from "../flags.ts"
import { Output, print, printJson } from "../Output.ts"

const PORT = 7777

export const serve = Command.make(
  "serve",
  {
    store: Flags.store,
    port: Flag.Int("port").pipe(
      Flag.withDescription(`The port to listen on (${PORT} unless told; 0 takes a free one)`),
      Flag.withDefault(PORT),
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 })))
    ),
    host: Flag.String("host").pipe(
      Flag.withMetavar("<name|address>"),
      Flag.withDescription("The address to listen on: 127.0.0.1, for this machine alone, unless told"),
      Flag.withDefault("127.0.0.1"),
      Flag.withSchema(Schema.NonEmptyString)
    ),
    json: Flags.json
  },
  Effect.fn("cli.serve")(
    function* ({ host, json, port }) {
      // The server is loaded where it is wanted.
      const Server = yield* Effect.promise(() => import("../../serve/Server.ts"))
      const { url } = yield* Server.start({ host, port })
      const { root } = yield* Store
      if (json) yield* printJson({ url, store: root })
      else {
        const { style } = (yield* Output).stdout
        yield* print(`${style.bold(url)}  shows the runs in ${root}; Ctrl-C ends it`)
        if (!Server.isLoopback(host)) {
          yield* print(style.yellow("Everybody who reaches this address can read them: there is no password."))
        }
      }
      return yield* Effect.never
    },
    Effect.scoped,
    (effect, { store }) => Effect.provide(effect, existingStoreAt(store))
  )
).pipe(
  Command.withDescription("Shows runs in a browser, while they happen too, and compares them"),
  Command.withExamples([
    { command: "npm run prefline -- serve", description: "The runs of this folder's store, for this machine alone" },
    { command: "npm run prefline -- serve --store /data/store --port 0", description: "Another store, on a free port" }
  ])
)
