/** Runs a command line in this process, with a catalog of one pipeline of the fixtures and its output in memory. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import { Catalog, type Entry } from "../../runtime/cli/Catalog.ts"
import { prefline } from "../../runtime/cli/Cli.ts"
import { statusOf } from "../../runtime/cli/failure.ts"
import { Output } from "../../runtime/cli/Output.ts"
import tiny from "./fixtures/tiny.ts"
import { memorySink } from "./memorySink.ts"

const TINY = { module: new URL("fixtures/tiny.ts", import.meta.url).href, pipeline: tiny }

export const inProcess = async (args: ReadonlyArray<string>, entry: Entry = TINY) => {
  const [stdout, stderr] = [memorySink(), memorySink()]
  const exit = await Effect.runPromise(
    Effect.exit(prefline(args)).pipe(
      Effect.provideService(Output, { stdout: stdout.sink, stderr: stderr.sink }),
      Effect.provideService(Catalog, async () => [entry]),
      Effect.provide(NodeServices.layer)
    )
  )
  return { code: statusOf(exit), stdout: stdout.text(), stderr: stderr.text() }
}
