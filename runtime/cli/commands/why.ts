import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { type Cause, why as explain, type Why } from "../../compare/index.ts"
import * as Key from "../../store/Key.ts"
import { existingStoreAt } from "../environment.ts"
import { Unsuccessful } from "../failure.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { Output, print, printJson, type Style } from "../Output.ts"
import * as Target from "../Target.ts"

export const why = Command.make(
  "why",
  {
    node: Argument.String("node").pipe(
      Argument.withDescription("A node or output of the newest run, or run/node (the run by its id or its pipeline)")
    ),
    run: Flag.String("run").pipe(
      Flag.withMetavar("<run>"),
      Flag.withDescription("The run: its id, its pipeline's name for the newest, name~1 for the one before"),
      Flag.optional
    ),
    store: Flags.store,
    json: Flags.json
  },
  Effect.fn("cli.why")(
    function* ({ json, node, run }) {
      const inRun = Option.match(run, { onNone: () => node, onSome: (run) => `${run}/${node}` })
      const target = yield* Target.find(Option.some(inRun.includes("/") ? inRun : `~0/${node}`))
      if (target._tag !== "Node") return yield* new Unsuccessful({ summary: `${node} is no node; give run/node` })
      const found = yield* explain(target.run.run, target.node.id)
      if (json) return yield* printJson(found)
      yield* print(render(found, (yield* Output).stdout.style))
    },
    (effect, { store }) => Effect.provide(effect, existingStoreAt(store))
  )
).pipe(
  Command.withDescription("Why a node was computed in a run, down to the file and the parameter, or who had made it"),
  Command.withExamples([
    { command: "npm run prefline -- why report", description: "A node or output of the newest run" },
    { command: "npm run prefline -- why optimize --run dpo~1", description: "A node of an earlier run" },
    { command: "npm run prefline -- plan dpo", description: "The same question before a run" }
  ])
)

const render = (found: Why, style: Style): string => {
  const head = `${style.bold(found.node)} (${found.stage}) was ${found.status} in run ${found.run}`
  return [head, ...reasons(found, style)].join("\n")
}

const reasons = (
  { changes, key, lost, madeBy, nearest, status, upstream }: Why,
  style: Style
): ReadonlyArray<string> => {
  const shortKey = Format.short(key)
  if (status === "cached") {
    return madeBy === null
      ? [`  key ${shortKey} was in the store; the journal of the run that made it is not`]
      : [`  key ${shortKey} was made by run ${madeBy.run} (${madeBy.pipeline}/${madeBy.node}) at ${madeBy.at}`]
  }
  if (lost !== null)
    return [
      `  key ${shortKey} was known from run ${lost.run} at ${lost.at}, but its entry or its output was gone or damaged`
    ]
  if (changes === null) return [`  the store has no entry of its key ${shortKey} any more, so nobody can tell`]
  if (nearest === null) return ["  its stage was never computed before"]
  return [
    `  against ${nearest.pipeline}/${nearest.node} of run ${nearest.run}, the most alike of the stage's earlier ones:`,
    ...changes.map((change) => `    ${Key.describeChange(change)}`),
    ...upstream.flatMap((cause) => causeLines(cause, style))
  ]
}

const causeLines = ({ changes, node, stage }: Cause, style: Style): ReadonlyArray<string> => [
  `  because ${style.bold(node)} (${stage}) came out otherwise:`,
  ...(changes === null
    ? ["    the store has no entry of one of its keys any more"]
    : changes.length === 0
      ? ["    under the same key: it was not reproduced"]
      : changes.map((change) => `    ${Key.describeChange(change)}`))
]
