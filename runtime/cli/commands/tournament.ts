import { Clock, Effect, FileSystem, Option, Result, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import * as Json from "../../../dsl/Json.ts"
import * as Pipeline from "../../../dsl/Pipeline.ts"
import { Device } from "../../device/Device.ts"
import * as Executor from "../../executor/Executor.ts"
import { RunFailed } from "../../executor/errors.ts"
import { CodeHash } from "../../store/CodeHash.ts"
import * as Versions from "../../Versions.ts"
import { announce } from "../announce.ts"
import * as Display from "../display/Display.ts"
import { storeAt, withServices } from "../environment.ts"
import { Unsuccessful } from "../failure.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { line, Output, print } from "../Output.ts"
import * as Parameters from "../parameters.ts"
import * as Report from "../report.ts"
import * as Asked from "../tournament/Asked.ts"
import * as Collect from "../tournament/collect.ts"
import * as Html from "../tournament/html.ts"
import * as Standings from "../tournament/standings.ts"
import { summarize } from "../tournament/summary.ts"
import { Tournament } from "../tournament/Tournament.ts"
import * as Text from "../tournament/text.ts"
import * as Workers from "../workers.ts"

export const tournament = Command.make(
  "tournament",
  {
    testbed: Flag.Literals("testbed", ["tabular", "sequences", "text"]).pipe(
      Flag.withDescription("The world: a bandit or sequences, both solved exactly, or a small language model"),
      Flag.withDefault("tabular" as const)
    ),
    methods: Asked.methods,
    seeds: Flag.Int("seeds").pipe(
      Flag.withDescription("How many seeds, each with its own world, pairs and trainings"),
      Flag.filter(
        (n) => n >= 1,
        () => "a number of at least 1; an interval needs 2"
      ),
      Flag.withDefault(3)
    ),
    flip: Asked.flip,
    grid: Asked.grid,
    html: Flag.String("html").pipe(
      Flag.withMetavar("<file.html>"),
      Flag.withDescription("Writes a page with every method's reward against its KL"),
      Flag.optional
    ),
    set: Flags.set,
    store: Flags.store,
    device: Flags.device,
    concurrency: Flags.concurrency,
    workers: Flags.workers,
    json: Flags.json
  },
  Effect.fn("cli.tournament")(
    function* ({ concurrency, device, flip, grid, html, json, methods, seeds, set, testbed, workers }) {
      // Pipelines bring their stages with them, which other commands do not need.
      const { arenas, entrants, fitting } = yield* Asked.load
      const arena = arenas[testbed]
      const known = fitting(testbed).map(({ name }) => name)
      const asked = { methods, strengths: grid, flip }
      yield* Asked.check(asked, testbed, known)
      const params = { ...(yield* Parameters.fromFlags(set, Option.none())), ...asked }
      const every = Pipeline.Seeds(seeds)
      const built = yield* Parameters.build(arena.pipeline, params, { seed: every })
      const playing = entrants(testbed, asked)
      const { stderr, stdout } = yield* Output
      const sink = json ? stderr : stdout
      const begun = yield* Clock.currentTimeMillis
      const running = Effect.gen(function* () {
        const count = yield* Workers.count(workers, [built.graph])
        yield* announce({ pipeline: `tournament ${testbed}`, params: built.params }, sink, count)
        const trainings = Format.count(playing.length * seeds, "training")
        yield* line(sink, sink.style.dim(`${trainings} in ${Format.count(built.graph.nodes.length, "node")}`))
        const listen = yield* Display.make(sink)
        const source = { module: arena.module, export: "default" }
        const ran = yield* Effect.result(
          Executor.run(built, { source, concurrency, listen }).pipe(Workers.provide(count))
        )
        if (Result.isFailure(ran) && !(ran.failure instanceof RunFailed)) return yield* Effect.fail(ran.failure)
        const used = yield* Effect.serviceOption(Device)
        return { ran, device: Option.match(used, { onNone: () => "none needed", onSome: ({ kind }) => kind }) }
      }).pipe(Effect.scoped)
      const held = yield* withServices(running, { device, layer: undefined, nodes: built.graph.nodes })
      const failed = Result.isFailure(held.ran) ? (held.ran.failure as RunFailed) : undefined
      const result = Result.isSuccess(held.ran) ? held.ran.success : (failed!.result as Executor.RunResult)
      const ran: Collect.Ran = { built, result, failures: failed?.failures ?? [] }
      const trainings = yield* Collect.trainings(arena, playing, every, ran)
      const contestants = [...new Set(playing.map(({ contestant }) => contestant))]
      const { matchedKl, standings } = Standings.standings(contestants, trainings, seeds)
      const countOf = (status: Executor.NodeStatus) => result.nodes.filter((node) => node.status === status).length
      const report: Tournament = {
        testbed,
        gold: arena.gold,
        selection: Standings.SELECTION,
        seeds: every,
        flip,
        matchedKl: matchedKl ?? null,
        standings,
        optimum: testbed === "tabular" ? yield* Collect.optimum(every, ran) : [],
        summary: summarize(standings, { flip, matchedKl }),
        provenance: {
          run: result.run,
          versions: Versions.current,
          device: held.device,
          params: built.params,
          computed: countOf("computed"),
          cached: countOf("cached"),
          keys: Collect.keys(playing, every, ran)
        }
      }
      yield* line(sink, `\n${Text.render(report, sink.style)}`)
      yield* line(sink, `\n${Report.lastLine(result, (yield* Clock.currentTimeMillis) - begun)}`)
      if (Option.isSome(html)) {
        yield* (yield* FileSystem.FileSystem).writeFileString(html.value, Html.page(report))
        yield* line(sink, `wrote ${html.value}`)
      }
      if (json) yield* print(Json.canonicalUnsafe(yield* Schema.encodeEffect(Tournament)(report)))
      if (failed !== undefined) return yield* new Unsuccessful({ summary: Asked.complaint(standings) })
    },
    (effect, { store }) => Effect.provide(effect, [storeAt(store), CodeHash.layer])
  )
).pipe(
  Command.withDescription("Methods against each other on the same pairs, budget and seeds: which of them to use"),
  Command.withExamples([
    { command: "npm run prefline -- tournament", description: "Every method, in a world that can be solved" },
    {
      command: "npm run prefline -- tournament --methods dpo,ipo,simpo --grid dpo=0.05,0.2 --html tournament.html",
      description: "Some, with strengths of one's own, as a page"
    },
    {
      command: "npm run prefline -- tournament --testbed text --methods dpo,kto --set steps=60",
      description: "On language, with a smaller budget"
    }
  ])
)
