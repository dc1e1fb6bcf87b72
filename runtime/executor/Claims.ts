/** Holds a pipeline to its paper's claims: runs the settings that each check is over, and measures their outputs. */
import { Effect, Schema, Struct } from "effect"
import type * as Check from "../../dsl/Check.ts"
import type * as Json from "../../dsl/Json.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { Store } from "../store/Store.ts"
import * as Executor from "./Executor.ts"
import { describe } from "./errors.ts"

/** A check could not be carried out: its measurement failed on outputs that exist. */
export class CheckFailed extends Schema.TaggedError<CheckFailed>()("CheckFailed", {
  check: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `check ${this.check} could not be measured: ${describe(this.cause)}`
  }
}

export interface Verdict {
  readonly name: string
  readonly kind: Check.Check["kind"]
  readonly expected: string
  readonly measured: Check.Measured
  readonly holds: boolean
  /** How many seeds the measurement is over; 1 where the check does not vary them. */
  readonly seeds: number
  readonly run: string
}

export interface Options extends Executor.Options {
  /** Parameters, for the checks that do not set them themselves. */
  readonly params?: Json.JsonObject
  /** Runs statistical checks over the seeds 0 to `seeds - 1` instead of their own. */
  readonly seeds?: number
}

/** The graph of a check, and the settings that it is over. */
export interface Sweep<E, R> extends Pipeline.Built<E, R> {
  readonly settings: ReadonlyArray<Pipeline.Setting>
}

/**
 * The settings of a check as one graph: nodes that a swept parameter does not touch are there once. The name tells its
 * runs from those of the pipeline itself, whose nodes have other ids.
 */
export const build = Effect.fn("Claims.build")(function* <X extends Pipeline.Pipeline>(
  pipeline: X,
  check: Check.Check,
  options: Options
) {
  const grid = yield* Pipeline.encodeGrid(pipeline, gridOf(check, options))
  const params = Struct.omit(options.params ?? {}, Object.keys(grid))
  const built = yield* Pipeline.build(pipeline, params, grid)
  // As `build` decodes them: a value may get defaults then, which its name tells.
  const settings = Pipeline.settings(yield* Pipeline.decodeGrid(pipeline, grid))
  const sweep: Sweep<Pipeline.Error<X>, Pipeline.Services<X>> = {
    ...built,
    pipeline: `${pipeline.name}/${check.name}`,
    settings
  }
  return sweep
})

/** Runs and measures one check; `built` is its graph. Fails where the run does. */
export const verdict = Effect.fn("Claims.verdict")(function* <E, R>(
  check: Check.Check,
  built: Sweep<E, R>,
  options: Options
) {
  const { params: _, seeds: __, ...run } = options
  const result = yield* Executor.run(built, run)
  const runs = yield* Effect.forEach(built.settings, (setting) =>
    Effect.map(outputsOf(built, result, setting.name), (outputs) => ({
      params: { ...built.params, ...setting.params },
      outputs
    }))
  )
  const measured = yield* Effect.suspend(() => check.measure(runs)).pipe(
    Effect.catchDefect((defect) => Effect.fail(defect)), // `meanOverSeeds` throws where there are too few
    Effect.mapError((cause) => new CheckFailed({ check: check.name, cause }))
  )
  const { expected, kind, name } = check
  const seeds = gridOf(check, options)["seed"]?.length ?? 1
  return { name, kind, expected, measured, holds: check.holds(measured), seeds, run: result.run } satisfies Verdict
})

const gridOf = ({ kind, over }: Check.Check, { seeds }: Options): Check.Check["over"] =>
  kind === "statistical" && seeds !== undefined ? { ...over, seed: Pipeline.Seeds(seeds) } : over

/** The outputs of one setting, decoded; in the sweep's graph they are named `<output>[<setting>]`. */
const outputsOf = Effect.fnUntraced(function* (
  built: Pipeline.Built,
  { outputs }: Executor.RunResult,
  setting: string
) {
  const store = yield* Store
  const ending = `[${setting}]`
  const named = Object.entries(built.graph.outputs).filter(([name]) => name.endsWith(ending))
  const values = yield* Effect.forEach(named, ([name, id]) =>
    Effect.map(
      store.read(built.graph.byId.get(id)!.node.artifact, outputs[name]!),
      (value) => [name.slice(0, -ending.length), value] as const
    )
  )
  return Object.fromEntries(values)
})
