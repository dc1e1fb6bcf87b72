/** The checks of a run's pipeline, held to what the store already has: nothing is run for them. */
import { Effect } from "effect"
import type * as Check from "../../dsl/Check.ts"
import * as Json from "../../dsl/Json.ts"
import type * as Pipeline from "../../dsl/Pipeline.ts"
import type * as RunView from "../cli/RunView.ts"
import * as Claims from "../executor/Claims.ts"
import { describe } from "../executor/errors.ts"
import * as Journal from "../store/Journal.ts"
import { Store } from "../store/Store.ts"

/** A check, and what it came to where the runs for it are in the store. */
export interface Checked {
  readonly check: Pick<Check.Check, "name" | "kind" | "expected" | "knownGap">
  readonly verdict: Claims.Verdict | undefined
  /** Why there is no verdict; nothing where it was simply not measured in this store. */
  readonly problem: string | undefined
}

/**
 * The checks of a pipeline at a run's parameters, in the order in which they are stated. They are measured anew on the
 * outputs of the newest runs that were made for them (by `claims`) with the same parameters in the same store.
 */
export const ofPipeline = Effect.fn("report.claims")(function* (
  pipeline: Pipeline.Pipeline,
  view: Pick<RunView.RunView, "params" | "source" | "grid">
) {
  const unmeasured = (problem?: string) =>
    pipeline.checks.map((check): Checked => ({ check, verdict: undefined, problem }))
  if (pipeline.checks.length === 0) return unmeasured()
  const { root } = yield* Store
  const runs = (yield* Journal.list(root)).filter(({ pipeline: name }) => name.startsWith(`${pipeline.name}/`))
  if (runs.length === 0) return unmeasured()
  const laidOut = yield* Effect.result(
    Claims.sweeps(pipeline, { params: view.params, source: view.source }).pipe(
      Effect.catchDefect((defect) => Effect.fail(defect)) // its own code may throw whatever it likes
    )
  )
  if (laidOut._tag === "Failure") return unmeasured(describe(laidOut.failure))
  const checked = new Map<string, Checked>()
  for (const sweep of laidOut.success) {
    const held = yield* newestOf(sweep, runs)
    if (held === undefined) continue
    const outputs = Claims.outputsOf(sweep, held)
    for (const check of sweep.checks) {
      const result = yield* Effect.result(Claims.measure(check, held.run, outputs, {}))
      checked.set(
        check.name,
        result._tag === "Success"
          ? { check, verdict: result.success, problem: undefined }
          : { check, verdict: undefined, problem: describe(result.failure.cause) }
      )
    }
  }
  return unmeasured().map((none) => checked.get(none.check.name) ?? none)
})

/** The newest run of exactly this sweep that came to its end. */
const newestOf = Effect.fnUntraced(function* (
  sweep: Claims.Sweep<unknown, unknown>,
  runs: ReadonlyArray<Journal.Summary>
) {
  const { root } = yield* Store
  const same = (a: unknown, b: unknown) => Json.canonicalUnsafe(a ?? null) === Json.canonicalUnsafe(b ?? null)
  for (const { params, pipeline, run, status } of runs) {
    if (pipeline !== sweep.pipeline || status === "unfinished" || status === "damaged") continue
    if (!same(params, sweep.params)) continue
    const record = yield* Effect.result(Journal.summarize(root, run))
    if (record._tag === "Failure" || !same(record.success.grid, sweep.grid)) continue
    const { finished, outputs } = record.success
    const refs = Object.fromEntries(Object.entries(outputs).map(([name, node]) => [name, finished.get(node)?.output]))
    return { run, outputs: refs }
  }
  return undefined
})
