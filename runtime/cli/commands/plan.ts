import { Effect } from "effect"
import { Command } from "effect/cli"
import * as Plan from "../../executor/Plan.ts"
import { CodeHash } from "../../store/CodeHash.ts"
import { storeAt, withServices } from "../environment.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { Output, print, printJson, type Style } from "../Output.ts"
import * as PipelineSource from "../PipelineSource.ts"
import * as Parameters from "../parameters.ts"

export const plan = Command.make(
  "plan",
  {
    pipeline: Flags.pipeline,
    set: Flags.set,
    seed: Flags.seed,
    store: Flags.store,
    device: Flags.device,
    json: Flags.json
  },
  Effect.fn("cli.plan")(function* ({ device, json, pipeline, seed, set, store }) {
    const params = yield* Parameters.fromFlags(set, seed)
    const found = yield* PipelineSource.find(pipeline)
    const built = yield* Parameters.build(found.pipeline, params)
    const nodes = yield* Plan.make(built).pipe(
      (plan) => withServices(plan, { device, layer: found.layer, nodes: built.graph.nodes }),
      Effect.provide([storeAt(store), CodeHash.layer])
    )
    if (json) {
      const told = nodes.map(({ id, key, stage, status, why }) => ({ id, stage, status, key: key ?? null, why }))
      return yield* printJson({ pipeline: built.pipeline, params: built.params, nodes: told })
    }
    yield* print(render(built, nodes, (yield* Output).stdout.style))
  })
).pipe(
  Command.withDescription("What a run would do, and why, without doing it"),
  Command.withExamples([
    { command: "npm run prefline -- plan dpo", description: "What is cached, and what would run" },
    { command: "npm run prefline -- plan dpo --set beta=0.2", description: "What another beta would change" }
  ])
)

const render = (
  { params, pipeline }: { readonly pipeline: string; readonly params: Parameters.Params },
  nodes: ReadonlyArray<Plan.PlannedNode>,
  style: Style
) => {
  const marks = { cached: "=", run: ">", waits: "." }
  const paint = { cached: style.dim, run: style.yellow, waits: (text: string) => text }
  const count = (status: Plan.PlannedNode["status"]) => nodes.filter((node) => node.status === status).length
  const rows = nodes.flatMap(({ id, stage, status, why }) => [
    [`${marks[status]} ${id}`, stage, paint[status](status), why[0] ?? ""],
    ...why.slice(1).map((reason) => ["", "", "", reason])
  ])
  return [
    `${style.bold(pipeline)}  ${Format.settings(params)}`,
    Format.table(rows),
    `${count("cached")} cached, ${count("run")} to run, ${count("waits")} after them`
  ].join("\n")
}
