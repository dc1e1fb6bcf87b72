import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Verify from "../../executor/Verify.ts"
import { CodeHash } from "../../store/CodeHash.ts"
import * as Journal from "../../store/Journal.ts"
import { Store } from "../../store/Store.ts"
import { existingStoreAt, withServices } from "../environment.ts"
import { Unsuccessful } from "../failure.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { line, Output, print, printJson, type Style } from "../Output.ts"
import * as PipelineSource from "../PipelineSource.ts"
import * as Parameters from "../parameters.ts"
import * as RunView from "../RunView.ts"

export const verify = Command.make(
  "verify",
  {
    run: Argument.String("run").pipe(
      Argument.withDescription(
        "A run's id, or a pipeline's name for its newest run; the newest run of all if left out"
      ),
      Argument.optional
    ),
    sample: Flag.Int("sample").pipe(
      Flag.withDescription("How many nodes to compute again, chosen at random (all unless told)"),
      Flag.filter(
        (n) => n >= 1,
        () => "a number of at least 1"
      ),
      Flag.optional
    ),
    store: Flags.store,
    device: Flags.device,
    json: Flags.json
  },
  Effect.fn("cli.verify")(
    function* ({ device, json, run, sample }) {
      const { stderr, stdout } = yield* Output
      const sink = json ? stderr : stdout
      const id = yield* RunView.findId(run)
      const record = yield* Journal.summarize((yield* Store).root, id)
      const found = yield* PipelineSource.findAgain(record)
      const built = yield* Parameters.build(found.pipeline, record.params, record.grid)
      yield* line(sink, `verifying run ${id}  ${sink.style.bold(record.pipeline)}  ${Format.settings(record.params)}`)
      const verdicts = yield* withServices(
        Verify.verify(id, built, {
          ...(Option.isSome(sample) ? { sample: sample.value } : {}),
          listen: (verdict) => line(sink, render(verdict, sink.style))
        }),
        { device, layer: found.layer, nodes: built.graph.nodes }
      )
      const differing = verdicts.filter(({ status }) => status === "differs")
      if (json) {
        const nodes = verdicts.map((verdict) => ({ ...verdict, difference: verdict.difference ?? null }))
        yield* printJson({
          run: id,
          pipeline: record.pipeline,
          status: differing.length > 0 ? "differs" : "verified",
          nodes
        })
      } else yield* print(`${Format.count(verdicts.length, "node")} computed again, ${differing.length} differ`)
      if (differing.length > 0) {
        return yield* new Unsuccessful({
          summary: `run ${id} is not reproduced: ${differing.map(({ id }) => id).join(", ")}`
        })
      }
    },
    (effect, { store }) => Effect.provide(effect, [existingStoreAt(store), CodeHash.layer])
  )
).pipe(
  Command.withDescription("Computes a run's nodes again from their stored inputs, and compares"),
  Command.withExamples([
    { command: "npm run prefline -- verify", description: "All nodes of the newest run" },
    { command: "npm run prefline -- verify dpo --sample 3", description: "Three nodes of a pipeline's newest run" }
  ])
)

const render = ({ difference, id, keyChanged, status }: Verify.Verdict, style: Style): string => {
  const mark = status === "differs" ? style.red("✗") : style.green("✓")
  const note = keyChanged ? style.yellow("  (code, parameters or device are no longer those of the run)") : ""
  return `${mark} ${id}  ${status}${difference === undefined ? "" : `: ${difference}`}${note}`
}
