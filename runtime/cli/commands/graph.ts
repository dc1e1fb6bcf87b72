import { Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Plan from "../../executor/Plan.ts"
import * as GraphSection from "../../report/graphSection.ts"
import * as GraphText from "../../report/graphText.ts"
import { writeText } from "../../report/write.ts"
import { CodeHash } from "../../store/CodeHash.ts"
import { existingStoreAt, storeAt, withServices } from "../environment.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { Output, print } from "../Output.ts"
import * as PipelineSource from "../PipelineSource.ts"
import * as Parameters from "../parameters.ts"
import * as RunView from "../RunView.ts"

/** A graph was asked for in a way that fits no pipeline and no run. */
export class GraphMisused extends Schema.TaggedError<GraphMisused>()("GraphMisused", { problem: Schema.String }) {
  override get message() {
    return this.problem
  }
}

export const graph = Command.make(
  "graph",
  {
    pipeline: Flags.pipeline.pipe(Argument.optional),
    run: Flag.String("run").pipe(
      Flag.withMetavar("<run>"),
      Flag.withDescription("Draw a run with status and times: its id, or a pipeline's name for its newest"),
      Flag.optional
    ),
    format: Flag.Literals("format", ["svg", "mermaid", "json", "dot"]).pipe(
      Flag.withDescription("svg (a drawing), mermaid, json or dot (Graphviz)"),
      Flag.withDefault("svg" as const)
    ),
    out: Flag.String("out").pipe(
      Flag.withMetavar("<file>"),
      Flag.withDescription("Where it goes; stdout unless told"),
      Flag.optional
    ),
    set: Flags.set,
    seed: Flags.seed,
    store: Flags.store,
    device: Flags.device
  },
  Effect.fn("cli.graph")(function* ({ device, format, out, pipeline, run, seed, set, store }) {
    if (Option.isSome(run) === Option.isSome(pipeline))
      return yield* new GraphMisused({ problem: "name a pipeline to draw it as it would run, or a run with --run" })
    if (Option.isSome(run) && (set.length > 0 || Option.isSome(seed)))
      return yield* new GraphMisused({ problem: "--set and --seed are for pipelines; a run has its parameters" })
    const drawn = Option.isSome(run)
      ? yield* ofRun(run.value).pipe(Effect.provide(existingStoreAt(store)))
      : yield* ofPipeline(Option.getOrThrow(pipeline), yield* Parameters.fromFlags(set, seed), device).pipe(
          Effect.provide([storeAt(store), CodeHash.layer])
        )
    const text = yield* GraphText.render(drawn, format)
    if (Option.isNone(out)) return yield* (yield* Output).stdout.write(text)
    const bytes = yield* writeText(out.value, text)
    yield* print(
      `wrote ${out.value}, ${Format.bytes(bytes)}: ${Format.count(drawn.nodes.length, "node")} of ${drawn.name}`
    )
  })
).pipe(
  Command.withDescription("The graph of a pipeline before it runs, with what is cached, or of a run"),
  Command.withExamples([
    { command: "npm run prefline -- graph dpo --out dpo.svg", description: "What would run, drawn" },
    { command: "npm run prefline -- graph dpo --format mermaid", description: "For a README" },
    { command: "npm run prefline -- graph --run dpo --out run.svg", description: "The newest run, with times" }
  ])
)

/** As `plan` sees it: what is cached is drawn so. */
const ofPipeline = Effect.fnUntraced(function* (name: string, params: Parameters.Params, device: string) {
  const found = yield* PipelineSource.find(name)
  const built = yield* Parameters.build(found.pipeline, params)
  const planned = yield* Plan.make(built).pipe((plan) =>
    withServices(plan, { device, layer: found.layer, nodes: built.graph.nodes })
  )
  const nodes = planned.map(
    ({ id, stage, status }): GraphSection.Known => ({
      id,
      stage,
      inputs: built.graph.byId.get(id)!.inputs,
      status: status === "cached" ? "cached" : "waiting"
    })
  )
  const graph: GraphText.Named = { name: built.pipeline, nodes, outputs: built.graph.outputs }
  return graph
})

const ofRun = Effect.fnUntraced(function* (asked: string) {
  const view = yield* RunView.load(yield* RunView.findId(Option.some(asked)))
  const nodes = view.nodes.map(
    ({ id, inputs, ms, stage, status }): GraphSection.Known => ({
      id,
      stage,
      inputs,
      ms,
      status: GraphSection.drawnStatus(status)
    })
  )
  const graph: GraphText.Named = { name: `${view.pipeline} ${view.run}`, nodes, outputs: view.outputs }
  return graph
})
