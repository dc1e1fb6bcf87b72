import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Project from "../../new/Project.ts"
import * as Flags from "../flags.ts"
import { Output, print, printJson } from "../Output.ts"

const name = Argument.String("name").pipe(Argument.withDescription("The project's name, and that of its folder"))
const prefline = Flag.String("prefline").pipe(
  Flag.withDescription(
    "What npm installs: a version, or a packed file or folder of prefline; this version unless told"
  ),
  Flag.optional
)

/** `new` writes a project of the user's own; npm installs it and prefline runs it. */
export const newProject = Command.make(
  "new",
  { name, prefline, json: Flags.json },
  Effect.fn("cli.new")(function* ({ json, name, prefline }) {
    const project = yield* Project.make(name, { parent: process.cwd(), prefline: Option.getOrUndefined(prefline) })
    if (json) return yield* printJson(project)
    const { style } = (yield* Output).stdout
    yield* print(`${style.bold(name)}: ${project.files.join(", ")}\n`)
    yield* print(`  cd ${name}\n  npm install\n  npx prefline run experiment.ts`)
  })
).pipe(
  Command.withDescription("Writes a project with a reward, a stage and a pipeline to change"),
  Command.withExamples([
    { command: "npm run prefline -- new my-experiment", description: "In the folder my-experiment" },
    {
      command: "npm run prefline -- new my-experiment --prefline ./prefline-0.1.0.tgz",
      description: "With a package that `npm pack` made"
    }
  ])
)
