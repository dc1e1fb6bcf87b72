import { Effect } from "effect"
import { Command } from "effect/cli"
import * as Catalog from "../Catalog.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { Output, print, printJson, type Style } from "../Output.ts"
import * as Parameters from "../parameters.ts"

export const list = Command.make(
  "list",
  { json: Flags.json },
  Effect.fn("cli.list")(function* ({ json }) {
    const listed = (yield* Catalog.entries).map(describe)
    if (json) return yield* printJson(listed)
    const { style } = (yield* Output).stdout
    for (const entry of listed) yield* print(`${render(entry, style)}\n`)
    yield* print(`${Format.count(listed.length, "pipeline")}. Run one: npm run prefline -- run <name>`)
  })
).pipe(
  Command.withDescription("The pipelines that can be run, with their papers and parameters"),
  Command.withExamples([
    { command: "npm run prefline -- list", description: "What there is" },
    { command: "npm run prefline -- list --json", description: "The same, for a program" }
  ])
)

const describe = (entry: Catalog.Entry) => {
  const { checks, claim, description, name, paper, testbed } = entry.pipeline
  return {
    name,
    family: Catalog.familyOf(entry),
    testbed,
    description,
    paper: paper ?? null,
    claim: claim ?? null,
    checks: checks.map(({ expected, kind, name }) => ({ name, kind, expected })),
    parameters: Parameters.describe(entry.pipeline),
    module: entry.module
  }
}

const render = (
  { claim, description, family, name, paper, parameters, testbed }: ReturnType<typeof describe>,
  style: Style
) =>
  [
    `${style.bold(name)} ${style.dim(`(${[family, ...testbed].join(", ")})`)}  ${description}`,
    ...(paper === null ? [] : [`  paper  ${paper.title} (arXiv ${paper.arxiv})`]),
    ...(claim === null ? [] : [`  claim  ${claim}`]),
    Parameters.toTable(parameters)
  ].join("\n")
