import { Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import * as Claims from "../../executor/Claims.ts"
import { CodeHash } from "../../store/CodeHash.ts"
import { announce } from "../announce.ts"
import * as Display from "../display/Display.ts"
import { storeAt, withServices } from "../environment.ts"
import { Unsuccessful } from "../failure.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { line, Output, printJson, type Style } from "../Output.ts"
import * as PipelineSource from "../PipelineSource.ts"
import * as Parameters from "../parameters.ts"
import * as Workers from "../workers.ts"

/** A pipeline that claims nothing cannot be held to its claims. */
export class ChecksMissing extends Schema.TaggedError<ChecksMissing>()("ChecksMissing", { pipeline: Schema.String }) {
  override get message() {
    return `${this.pipeline} states no checks`
  }
}

export const claims = Command.make(
  "claims",
  {
    pipeline: Flags.pipeline,
    set: Flags.set,
    seeds: Flag.Int("seeds").pipe(
      Flag.withDescription("Runs statistical checks over this many seeds instead of their own"),
      Flag.filter(
        (n) => n >= 2,
        () => "a number of at least 2: an interval needs as many"
      ),
      Flag.optional
    ),
    store: Flags.store,
    device: Flags.device,
    concurrency: Flags.concurrency,
    workers: Flags.workers,
    json: Flags.json
  },
  Effect.fn("cli.claims")(
    function* ({ concurrency, device, json, pipeline, seeds, set, workers }) {
      const params = yield* Parameters.fromFlags(set, Option.none())
      const found = yield* PipelineSource.find(pipeline)
      const built = yield* Parameters.build(found.pipeline, params)
      if (found.pipeline.checks.length === 0) return yield* new ChecksMissing({ pipeline: built.pipeline })
      const { stderr, stdout } = yield* Output
      const sink = json ? stderr : stdout
      const options = {
        source: found.source,
        concurrency,
        params,
        ...(Option.isSome(seeds) ? { seeds: seeds.value } : {})
      }
      const sweeps = yield* Effect.forEach(found.pipeline.checks, (check) =>
        Effect.map(Claims.build(found.pipeline, check, options), (sweep) => [check, sweep] as const)
      )
      const measure = Effect.fnUntraced(function* ([check, sweep]: (typeof sweeps)[number]) {
        yield* line(sink, `\ncheck ${sink.style.bold(check.name)}: ${check.expected}`)
        const listen = yield* Display.make(sink)
        return yield* Claims.verdict(check, sweep, { ...options, listen })
      }, Effect.scoped)
      const graphs = sweeps.map(([, { graph }]) => graph)
      const all = Effect.gen(function* () {
        const count = yield* Workers.count(workers, graphs)
        yield* announce(built, sink, count)
        return yield* Effect.forEach(sweeps, measure).pipe(Workers.provide(count))
      })
      const nodes = graphs.flatMap((graph) => graph.nodes)
      const verdicts = yield* withServices(all, { device, layer: found.layer, nodes })
      const failing = verdicts.filter(({ holds }) => !holds)
      yield* line(sink, `\n${verdicts.map((verdict) => render(verdict, sink.style)).join("\n")}`)
      if (json) {
        yield* printJson({
          pipeline: found.pipeline.name,
          status: failing.length > 0 ? "failed" : "passed",
          checks: verdicts.map(toJson)
        })
      }
      if (failing.length > 0) {
        const names = failing.map(({ name }) => name).join(", ")
        return yield* new Unsuccessful({ summary: `${found.pipeline.name} does not hold: ${names}` })
      }
    },
    (effect, { store }) => Effect.provide(effect, [storeAt(store), CodeHash.layer])
  )
).pipe(
  Command.withDescription("Holds a pipeline to its paper's claims: what is expected, what is measured, pass or FAIL"),
  Command.withExamples([
    { command: "npm run prefline -- claims dpo", description: "All checks of a pipeline" },
    { command: "npm run prefline -- claims dpo --seeds 10", description: "With narrower intervals" }
  ])
)

const toJson = ({ measured: { interval, value }, ...verdict }: Claims.Verdict) => ({
  ...verdict,
  measured: { value, interval: interval ?? null }
})

const render = ({ expected, holds, kind, measured, name, seeds }: Claims.Verdict, style: Style): string => {
  const [low, high] = measured.interval ?? []
  const interval = low === undefined || high === undefined ? "" : ` [${Format.number(low)}, ${Format.number(high)}]`
  return [
    `${holds ? style.green("pass") : style.red("FAIL")}  ${style.bold(name)}  ${style.dim(`${kind}, ${Format.count(seeds, "seed")}`)}`,
    `      expected  ${expected}`,
    `      measured  ${Format.number(measured.value)}${interval}`
  ].join("\n")
}
