/** The command line: its commands, and how it runs in a process. */
// Not the package's index: importing all of it takes most of a second.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Logger, Stdio } from "effect"
import { CliConfig, CliOutput, Command, Flag, GlobalFlag } from "effect/cli"
import * as Telemetry from "../observe/Telemetry.ts"
import * as Versions from "../Versions.ts"
import { Catalog, type Load } from "./Catalog.ts"
import { check } from "./commands/check.ts"
import { claims } from "./commands/claims.ts"
import { convert } from "./commands/convert.ts"
import { diff } from "./commands/diff.ts"
import { doctor } from "./commands/doctor.ts"
import { exportRun } from "./commands/export.ts"
import { gc } from "./commands/gc.ts"
import { graph } from "./commands/graph.ts"
import { importRun } from "./commands/import.ts"
import { list } from "./commands/list.ts"
import { newProject } from "./commands/new.ts"
import { pin, unpin } from "./commands/pin.ts"
import { plan } from "./commands/plan.ts"
import { replay } from "./commands/replay.ts"
import { report } from "./commands/report.ts"
import { run } from "./commands/run.ts"
import { runs } from "./commands/runs.ts"
import { save } from "./commands/save.ts"
import { serve } from "./commands/serve.ts"
import { show } from "./commands/show.ts"
import { tournament } from "./commands/tournament.ts"
import { verify } from "./commands/verify.ts"
import { why } from "./commands/why.ts"
import * as Failure from "./failure.ts"
import { line, Output } from "./Output.ts"

/** Runs the command line that this process was started with, and sets its exit status. */
export const main = (catalog: Load): void => {
  endOnSecondInterrupt()
  keepStdoutForAnswers()
  const program = Stdio.Stdio.use(({ args }) => Effect.flatMap(args, prefline)).pipe(
    Effect.provideService(Catalog, catalog),
    Effect.provide([NodeServices.layer, Output.layer])
  )
  NodeRuntime.runMain(program, {
    disableErrorReporting: true,
    teardown: (exit, end) => end(Failure.statusOf(exit))
  })
}

/** Runs a command line, and tells what goes wrong. `Failure.statusOf` says what its exit means for a process. */
export const prefline = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const settings = { verbose: process.env["PREFLINE_DEBUG"] === "1" }
  const command = root.pipe(
    Command.provideEffectDiscard(({ verbose }) => Effect.sync(() => (settings.verbose ||= verbose)))
  )
  yield* Command.runWith(command, { version: Versions.current.prefline })(args).pipe(
    Effect.provideService(CliOutput.Presenter, yield* presenter),
    Effect.provideService(CliConfig.CliConfig, {
      builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions]
    }),
    Telemetry.observed(sayTo(yield* Output)),
    Effect.onError((cause) => tell(Failure.tell(cause, settings))),
    Effect.provideService(Logger.LogToStderr, true)
  )
})

const root = Command.make("prefline").pipe(
  Command.withDescription("Experiments in preference optimization, run as reproducible graphs"),
  Command.withSharedFlags({
    verbose: Flag.Boolean("verbose").pipe(
      Flag.withDescription("Show where an error happened (as PREFLINE_DEBUG=1 does)"),
      Flag.withDefault(false)
    )
  }),
  Command.withSubcommands([
    newProject,
    list,
    graph,
    plan,
    run,
    replay,
    verify,
    claims,
    tournament,
    check,
    runs,
    show,
    report,
    serve,
    diff,
    why,
    save,
    convert,
    exportRun,
    importRun,
    pin,
    unpin,
    gc,
    doctor
  ]),
  Command.withExamples([
    { command: "npm start", description: "A first experiment: DPO on a small model" },
    { command: "npm run prefline -- list", description: "What can be run" },
    { command: "npm run prefline -- run dpo --set beta=0.2", description: "Run it with another parameter" },
    { command: "npm run prefline -- show", description: "Look at the newest run" }
  ])
)

const tell = (text: string | undefined) =>
  text === undefined
    ? Effect.void
    : Output.use(({ stderr }) => line(stderr, `${stderr.style.red("prefline:")} ${text}`))

const sayTo =
  ({ stderr }: Output["Service"]): Telemetry.Say =>
  (problem) =>
    line(stderr, `${stderr.style.yellow("prefline:")} telemetry is lost: ${problem}; nothing else is`)

/** Help goes to stdout; what was typed wrong, and where to read on, to stderr, so that it never mixes with an answer. */
const presenter = Effect.gen(function* () {
  const { stderr, stdout } = yield* Output
  const formatter = CliOutput.defaultFormatter({ colors: stdout.style.bold("") !== "" })
  const present: CliOutput.Presenter["present"] = (event) => {
    switch (event._tag) {
      case "Help":
        return line(stdout, formatter.formatHelpDoc(event.helpDoc))
      case "Version":
        return line(stdout, formatter.formatVersion(event.name, event.version))
      case "InvalidInvocation": {
        const problems = event.errors.map(({ message }) => message).join("\n")
        const command = event.commandPath.join(" ")
        return line(stderr, `${stderr.style.red("prefline:")} ${problems}\n\nSee \`${command} --help\`.`)
      }
    }
  }
  return { present }
})

/** What stages and libraries say with `console` goes to stderr: stdout belongs to answers, which come by `Output`. */
const keepStdoutForAnswers = () => {
  if (process.argv.includes("--completions")) return // which Effect prints with `console`
  const toStderr = console.error.bind(console)
  Object.assign(console, { log: toStderr, info: toStderr, debug: toStderr })
}

/** npm passes an interrupt on that the terminal has already sent: one that comes much later is a second one. */
const SECOND_AFTER = 1000

/** The first interrupt lets the run end in order; a second one does not wait for it. Nothing that is stored is lost. */
const endOnSecondInterrupt = () => {
  let first: number | undefined
  process.on("SIGINT", () => {
    const now = performance.now()
    first ??= now
    if (now - first > SECOND_AFTER) process.exit(Failure.INTERRUPTED)
  })
}
