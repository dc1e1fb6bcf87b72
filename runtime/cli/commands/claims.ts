import { Effect, FileSystem, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { Report } from "../../executor/ClaimsReport.ts"
import * as ClaimsRun from "../../executor/ClaimsRun.ts"
import { CodeHash } from "../../store/CodeHash.ts"
import { announce } from "../announce.ts"
import * as Catalog from "../Catalog.ts"
import * as Catalogue from "../claims/catalogue.ts"
import * as Merged from "../claims/merged.ts"
import * as Text from "../claims/text.ts"
import * as Display from "../display/Display.ts"
import { storeAt, withServices } from "../environment.ts"
import { Unsuccessful } from "../failure.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { line, Output, printJson, type Sink } from "../Output.ts"
import * as PipelineSource from "../PipelineSource.ts"
import * as Parameters from "../parameters.ts"
import * as Workers from "../workers.ts"

/** A pipeline that claims nothing cannot be held to its claims. */
export class ChecksMissing extends Schema.TaggedError<ChecksMissing>()("ChecksMissing", { pipeline: Schema.String }) {
  override get message() {
    return `${this.pipeline} states no checks`
  }
}

/** What is to be held to its claims was not said, or was said in two ways. */
export class ClaimsMisused extends Schema.TaggedError<ClaimsMisused>()("ClaimsMisused", { problem: Schema.String }) {
  override get message() {
    return this.problem
  }
}

export const claims = Command.make(
  "claims",
  {
    pipeline: Argument.optional(Flags.pipeline),
    all: Flag.Boolean("all").pipe(
      Flag.withDescription("Every pipeline of the catalog, side by side; what they have in common is made once"),
      Flag.withDefault(false)
    ),
    catalogue: Flag.String("catalogue").pipe(
      Flag.withMetavar("<file.md>"),
      Flag.withDescription("With --all: writes the table and every check to this file"),
      Flag.optional
    ),
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
    function* ({ all, catalogue, concurrency, device, json, pipeline, seeds, set, workers }) {
      if (all !== Option.isNone(pipeline))
        return yield* new ClaimsMisused({ problem: "give a pipeline, or --all for those of the catalog" })
      if (!all && Option.isSome(catalogue))
        return yield* new ClaimsMisused({ problem: "--catalogue is of all pipelines: give --all" })
      if (all && set.length > 0)
        return yield* new ClaimsMisused({ problem: "--set is of one pipeline: it goes with a name, not with --all" })
      const params = yield* Parameters.fromFlags(set, Option.none())
      const { layer, subjects, told } = yield* Option.match(pipeline, {
        onNone: () => fromCatalog,
        onSome: (name) => named(name, params)
      })
      const { stderr, stdout } = yield* Output
      const sink = json ? stderr : stdout
      const options = { concurrency, params, ...(Option.isSome(seeds) ? { seeds: seeds.value } : {}) }
      const prepared = yield* Effect.forEach(subjects, (subject) => ClaimsRun.prepare(subject, options))
      const graph = ClaimsRun.merged(prepared)
      const holding = Effect.gen(function* () {
        const count = yield* Workers.count(workers, [graph])
        yield* announce(told, sink, count)
        yield* line(sink, sink.style.dim(sizeOf(prepared, graph.nodes.length)))
        const nodes = prepared.flatMap(({ sweeps }) => sweeps).reduce((sum, { graph }) => sum + graph.nodes.length, 0)
        const listen = Merged.within(yield* Display.make(sink, { nodes }))
        return yield* ClaimsRun.hold(prepared, { ...options, listen }).pipe(Workers.provide(count))
      }).pipe(Effect.scoped)
      const report: Report = yield* withServices(holding, { device, layer, nodes: graph.nodes })
      yield* line(sink, `\n${all ? allOf(report, sink) : oneOf(report, sink)}`)
      if (Option.isSome(catalogue)) {
        yield* (yield* FileSystem.FileSystem).writeFileString(catalogue.value, Catalogue.toMarkdown(report))
        yield* line(sink, `wrote ${catalogue.value}`)
      }
      if (json) yield* printJson(all ? report : report.pipelines[0])
      const complaints = report.pipelines.flatMap((pipeline) => Text.complaint(pipeline) ?? [])
      if (complaints.length > 0) return yield* new Unsuccessful({ summary: complaints.join("\n") })
    },
    (effect, { store }) => Effect.provide(effect, [storeAt(store), CodeHash.layer])
  )
).pipe(
  Command.withDescription("Holds a pipeline to its paper's claims: what is expected, what is measured, pass or FAIL"),
  Command.withExamples([
    { command: "npm run prefline -- claims dpo", description: "All checks of a pipeline" },
    { command: "npm run prefline -- claims dpo --seeds 10", description: "With narrower intervals" },
    { command: "npm run prefline -- claims --all", description: "All pipelines of the catalog, as one table" }
  ])
)

const fromCatalog = Effect.map(Catalog.entries, (entries) => ({
  layer: undefined,
  told: { pipeline: `claims of ${Format.count(entries.length, "pipeline")}`, params: {} },
  subjects: entries.map((entry): ClaimsRun.Subject => {
    const { pipeline, source } = PipelineSource.fromEntry(entry)
    return { pipeline, source, family: Catalog.familyOf(entry) }
  })
}))

const named = Effect.fnUntraced(function* (name: string, params: Parameters.Params) {
  const { layer, pipeline, source } = yield* PipelineSource.find(name)
  const told = yield* Parameters.build(pipeline, params)
  if (pipeline.checks.length === 0) return yield* new ChecksMissing({ pipeline: pipeline.name })
  const family = Catalog.familyOf({ pipeline, module: source.module })
  const subjects: ReadonlyArray<ClaimsRun.Subject> = [{ pipeline, source, family }]
  return { layer, told, subjects }
})

const sizeOf = (prepared: ReadonlyArray<ClaimsRun.Prepared>, nodes: number) => {
  const checks = prepared.reduce((total, { pipeline }) => total + pipeline.checks.length, 0)
  const runs = prepared.reduce((total, { sweeps }) => total + sweeps.length, 0)
  return `${Format.count(checks, "check")} in ${Format.count(runs, "run")}, ${Format.count(nodes, "node")} in all`
}

const oneOf = (report: Report, sink: Sink) => {
  const { computed, pipelines, together } = report
  const counted = `${Format.count(together.nodes, "node")}, ${computed} computed now; they took ${Format.duration(together.ms)}`
  return `${Text.checks(pipelines[0]!, sink.style)}\n\n${sink.style.dim(counted)}`
}

/** Every check where something is to be read about it, then the table. */
const allOf = (report: Report, sink: Sink) => {
  const { style } = sink
  const listed = report.pipelines.map((pipeline) => `${style.bold(pipeline.pipeline)}\n${Text.checks(pipeline, style)}`)
  const computed = `${report.computed} computed now`
  return [...listed, Text.table(report, style), `${Text.sharing(report)}\n${style.dim(computed)}`].join("\n\n")
}
