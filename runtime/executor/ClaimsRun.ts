/**
 * Holds many pipelines to their claims side by side, as if they were one graph: what several of them need is made once,
 * and independent trainings of all of them share the worker threads. Each sweep is a run of its own, with its journal.
 */
import { Effect, Result } from "effect"
import type * as Check from "../../dsl/Check.ts"
import * as Graph from "../../dsl/Graph.ts"
import type * as Json from "../../dsl/Json.ts"
import type * as Pipeline from "../../dsl/Pipeline.ts"
import { CodeHash } from "../store/CodeHash.ts"
import * as Claims from "./Claims.ts"
import type { CheckReport, Outcome, PipelineReport, Report } from "./ClaimsReport.ts"
import * as Executor from "./Executor.ts"
import { describe, RunFailed } from "./errors.ts"
import { modulesOf } from "./keyOf.ts"
import type * as Recipe from "./Recipe.ts"

/** A pipeline that is to be held to its claims, and where others find it. */
export interface Subject {
  readonly pipeline: Pipeline.Pipeline
  readonly source: Recipe.Source
  readonly family: string
}

/** A subject and its graphs, or why it has none. */
export interface Prepared extends Subject {
  readonly sweeps: ReadonlyArray<Claims.Sweep<unknown, any>>
  readonly problem: string | undefined
}

export interface Options extends Pick<Claims.Options, "concurrency" | "seeds"> {
  readonly params?: Json.JsonObject
  /** Hears of each sweep's run; `sweep` is its name. */
  readonly listen?: (sweep: string) => (event: Executor.Event) => Effect.Effect<void>
}

/** Lays out the graphs of a pipeline's checks. One that cannot be built says so and stops no other. */
export const prepare = (subject: Subject, options: Options): Effect.Effect<Prepared> =>
  Claims.sweeps(subject.pipeline, { ...options, source: subject.source, listen: () => Effect.void }).pipe(
    Effect.catchDefect((defect) => Effect.fail(defect)), // its own code may throw whatever it likes
    Effect.match({
      onSuccess: (sweeps): Prepared => ({ ...subject, sweeps, problem: undefined }),
      onFailure: (error): Prepared => ({ ...subject, sweeps: [], problem: describe(error) })
    })
  )

/** The nodes of all subjects, each structurally distinct one once: how much there is to do at all. */
export const merged = (subjects: ReadonlyArray<Prepared>): Graph.Graph =>
  Graph.fromOutputs(
    Object.fromEntries(
      subjects
        .flatMap(({ sweeps }) => sweeps)
        .flatMap(({ graph }, i) =>
          Object.entries(graph.outputs).map(([name, id]) => [`${i}/${name}`, graph.byId.get(id)!.node] as const)
        )
    )
  )

/** Runs and measures everything. Fails for nothing that one pipeline is to blame for: the report says what went wrong. */
export const hold = Effect.fn("ClaimsRun.hold")(function* (
  subjects: ReadonlyArray<Prepared>,
  options: Options
): Effect.fn.Return<Report, never, any> {
  const shared = yield* Executor.share(options.concurrency)
  const modules = yield* Effect.forEach(subjects, ({ sweeps }) =>
    Effect.forEach(sweeps, ({ graph }) => modulesOf(graph))
  )
  // In one go for all; what cannot be read is told again, and by name, by those who need it.
  yield* Effect.ignore((yield* CodeHash).prefetch(modules.flat(2)))
  const held = yield* Effect.forEach(
    subjects,
    (subject) =>
      Effect.map(
        Effect.forEach(subject.sweeps, (sweep) => holdSweep(subject, sweep, shared, options), {
          concurrency: "unbounded"
        }),
        (sweeps) => ({ subject, sweeps })
      ),
    { concurrency: "unbounded" }
  )
  return toReport(held, shared, options)
})

/** What became of a sweep: its run, as far as it came, and its checks. */
interface HeldSweep {
  readonly nodes: ReadonlyArray<Executor.NodeResult>
  readonly checks: ReadonlyMap<Check.Check, CheckReport>
}

const holdSweep = Effect.fnUntraced(function* (
  { source }: Subject,
  sweep: Claims.Sweep<unknown, any>,
  shared: Executor.Shared,
  options: Options
) {
  const { listen, seeds } = options
  const asked = {
    source,
    shared,
    ...(listen === undefined ? {} : { listen: listen(sweep.pipeline) }),
    ...(seeds === undefined ? {} : { seeds })
  }
  const ran = yield* Effect.result(Executor.run(sweep, asked))
  if (Result.isFailure(ran) && !(ran.failure instanceof RunFailed)) {
    const problem = describe(ran.failure)
    const unrun: HeldSweep = {
      nodes: [],
      checks: new Map(sweep.checks.map((check) => [check, unmeasured(check, problem, null, options)]))
    }
    return unrun
  }
  // Of a run that failed there is still what did not depend on the failure.
  const failure = Result.isFailure(ran) ? (ran.failure as RunFailed) : undefined
  const result = Result.isSuccess(ran) ? ran.success : (failure!.result as Executor.RunResult)
  const outputs = Claims.outputsOf(sweep, result)
  const checks = yield* Effect.forEach(sweep.checks, (check) =>
    Claims.measure(check, result.run, outputs, asked).pipe(
      Effect.match({
        onFailure: ({ cause }) => {
          const isWithout = failure !== undefined && outputs.missing(check).length > 0
          return unmeasured(check, isWithout ? problemOf(failure) : describe(cause), result.run, options)
        },
        onSuccess: (verdict) => measured(check, verdict)
      }),
      Effect.map((report) => [check, report] as const)
    )
  )
  const held: HeldSweep = { nodes: result.nodes, checks: new Map(checks) }
  return held
})

const problemOf = ({ failures: [first, ...others] }: RunFailed) =>
  `${first!.message}${others.length === 0 ? "" : `, and ${others.length} more nodes failed`}`

const measured = (check: Check.Check, { holds, measured, run, seeds, ...about }: Claims.Verdict): CheckReport => ({
  name: about.name,
  kind: about.kind,
  expected: about.expected,
  outcome: outcomeOf(check, holds),
  holds,
  measured: { value: measured.value, interval: measured.interval ?? null, note: measured.note ?? null },
  seeds,
  knownGap: check.knownGap ?? null,
  problem: null,
  run
})

const outcomeOf = ({ knownGap }: Check.Check, holds: boolean): Outcome =>
  knownGap === undefined ? (holds ? "pass" : "fail") : holds ? "gap closed" : "known gap"

const unmeasured = (check: Check.Check, problem: string, run: string | null, options: Options): CheckReport => ({
  name: check.name,
  kind: check.kind,
  expected: check.expected,
  outcome: "not measured",
  holds: null,
  measured: null,
  seeds: Claims.seedsOf(check, options),
  knownGap: check.knownGap ?? null,
  problem,
  run
})

/** Nothing to be told of: what was expected to hold does, and what was known not to does not. */
const isAsStated = ({ outcome }: CheckReport) => outcome === "pass" || outcome === "known gap"

const toReport = (
  held: ReadonlyArray<{ readonly subject: Prepared; readonly sweeps: ReadonlyArray<HeldSweep> }>,
  { known }: Executor.Shared,
  options: Options
): Report => {
  const keysOf = ({ sweeps }: (typeof held)[number]) =>
    new Set(sweeps.flatMap(({ nodes }) => nodes.flatMap(({ key }) => key ?? [])))
  const keys = held.map(keysOf)
  const users = new Map<string, number>()
  for (const key of keys.flatMap((keys) => [...keys])) users.set(key, (users.get(key) ?? 0) + 1)
  const msOf = (keys: Iterable<string>) => [...keys].reduce((total, key) => total + (known.get(key)?.ms ?? 0), 0)
  const pipelines = held.map(({ subject, sweeps }, i): PipelineReport => {
    const shared = [...keys[i]!].filter((key) => users.get(key)! > 1)
    const byCheck = new Map(sweeps.flatMap(({ checks }) => [...checks]))
    const checks = subject.pipeline.checks.map(
      (check) => byCheck.get(check) ?? unmeasured(check, subject.problem ?? "it was not run", null, options)
    )
    const { description, name, paper, testbed } = subject.pipeline
    return {
      pipeline: name,
      description,
      paper: paper ?? null,
      family: subject.family,
      testbed,
      status: checks.every(isAsStated) ? "passed" : "failed",
      problem: subject.problem ?? null,
      checks,
      nodes: keys[i]!.size,
      sharedNodes: shared.length,
      unreached: sweeps.flatMap(({ nodes }) => nodes.filter(({ status }) => status === "skipped")).length,
      ms: { own: msOf(keys[i]!) - msOf(shared), shared: msOf(shared) }
    }
  })
  const all = held.flatMap(({ sweeps }) => sweeps.flatMap(({ nodes }) => nodes))
  const apart = keys.reduce((total, { size }) => total + size, 0)
  return {
    status: pipelines.every(({ status }) => status === "passed") ? "passed" : "failed",
    pipelines,
    computed: all.filter(({ status }) => status === "computed").length,
    together: { nodes: users.size, ms: msOf(users.keys()) },
    apart: { nodes: apart, ms: keys.reduce((total, keys) => total + msOf(keys), 0) },
    ratio: apart === 0 ? null : users.size / apart
  }
}
