/** Holds a pipeline to its paper's claims: runs the settings that each check is over, and measures their outputs. */
import { Effect, Schema, Struct } from "effect"
import type * as Artifact from "../../dsl/Artifact.ts"
import type * as Check from "../../dsl/Check.ts"
import * as Graph from "../../dsl/Graph.ts"
import * as Json from "../../dsl/Json.ts"
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

/** One graph for all checks that are over the same settings, with what these checks look at. */
export interface Sweep<E, R> extends Pipeline.Built<E, R> {
  readonly settings: ReadonlyArray<Pipeline.Setting>
  readonly checks: ReadonlyArray<Check.Check>
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
  return yield* layOut(pipeline, `${pipeline.name}/${check.name}`, grid, [check], options.params ?? {})
})

/** All checks of a pipeline, those over the same settings in one graph, in the order in which they are stated. */
export const sweeps = Effect.fn("Claims.sweeps")(function* <X extends Pipeline.Pipeline>(
  pipeline: X,
  options: Options
) {
  const groups = new Map<string, { readonly grid: Pipeline.EncodedGrid; readonly checks: Array<Check.Check> }>()
  for (const check of pipeline.checks) {
    const grid = yield* Pipeline.encodeGrid(pipeline, gridOf(check, options))
    const settings = Json.canonicalUnsafe(grid)
    const { checks } = groups.get(settings) ?? groups.set(settings, { grid, checks: [] }).get(settings)!
    checks.push(check)
  }
  return yield* Effect.forEach(groups.values(), ({ checks, grid }) => {
    const [check, ...others] = checks
    const over = others.length === 0 ? check!.name : `checks over ${Object.keys(grid).join(", ") || "one setting"}`
    return layOut(pipeline, `${pipeline.name}/${over}`, grid, checks, options.params ?? {})
  })
})

const layOut = Effect.fnUntraced(function* <X extends Pipeline.Pipeline>(
  pipeline: X,
  name: string,
  grid: Pipeline.EncodedGrid,
  checks: ReadonlyArray<Check.Check>,
  params: Json.JsonObject
) {
  const built = yield* Pipeline.build(pipeline, Struct.omit(params, Object.keys(grid)), grid)
  // As `build` decodes them: a value may get defaults then, which its name tells.
  const settings = Pipeline.settings(yield* Pipeline.decodeGrid(pipeline, grid))
  const names = Object.keys(built.graph.outputs)
  const wanted = checks.flatMap((check) => namesFor(check, settings, names))
  const missing = wanted.find((name) => !names.includes(name))
  if (missing !== undefined)
    return yield* new Pipeline.PipelineInvalid({
      pipeline: pipeline.name,
      problem: `a check looks at ${missing}, which is no output`
    })
  // Ids stay those of the whole graph, which whoever is given one of its tasks builds.
  const graph = Graph.restrict(built.graph, new Set(wanted))
  const sweep: Sweep<Pipeline.Error<X>, Pipeline.Services<X>> = { ...built, graph, pipeline: name, settings, checks }
  return sweep
})

/** What a check looks at, by its names in the sweep's graph: `<output>[<setting>]`. */
const namesFor = (
  { outputs }: Check.Check,
  settings: ReadonlyArray<Pipeline.Setting>,
  all: ReadonlyArray<string>
): ReadonlyArray<string> =>
  outputs === undefined ? all : settings.flatMap(({ name }) => outputs.map((output) => `${output}[${name}]`))

/** Runs and measures one check; `built` is its graph. Fails where the run does. */
export const verdict = Effect.fn("Claims.verdict")(function* <E, R>(
  check: Check.Check,
  built: Sweep<E, R>,
  options: Options
) {
  const { params: _, seeds: __, ...run } = options
  const result = yield* Executor.run(built, run)
  return yield* measure(check, result.run, outputsOf(built, result), options)
})

/** Holds the outputs of a sweep's run to one check. A measurement that is no finite number is none. */
export const measure = Effect.fn("Claims.measure")(function* (
  check: Check.Check,
  run: string,
  outputs: Outputs,
  options: Pick<Options, "seeds">
) {
  const { expected, kind, name } = check
  const failed = (cause: unknown) => new CheckFailed({ check: name, cause })
  const missing = outputs.missing(check)
  if (missing.length > 0) return yield* failed(new Error(`${missing.join(", ")} could not be made`))
  const judged = Effect.suspend(() => check.measure(outputs.runs(check))).pipe(
    Effect.map((measured) => [measured, check.holds(measured)] as const),
    Effect.catchDefect((defect) => Effect.fail(defect)), // `meanOverSeeds` throws where there are too few
    Effect.mapError(failed)
  )
  let exit = yield* Effect.exit(judged)
  while (yield* Effect.mapError(outputs.decodeWanted, failed)) exit = yield* Effect.exit(judged)
  const [measured, holds] = yield* exit
  const numbers = [measured.value, ...(measured.interval ?? [])]
  if (!numbers.every((number) => Number.isFinite(number)))
    return yield* failed(new RangeError(`it came to ${numbers.join(", ")}`))
  const seeds = seedsOf(check, options)
  return { name, kind, expected, measured, holds, seeds, run } satisfies Verdict
})

/** How many seeds a check is over; 1 where it does not vary them. */
export const seedsOf = (check: Check.Check, options: Pick<Options, "seeds">): number =>
  gridOf(check, options)["seed"]?.length ?? 1

const gridOf = ({ kind, over }: Check.Check, { seeds }: Pick<Options, "seeds">): Check.Check["over"] =>
  kind === "statistical" && seeds !== undefined ? { ...over, seed: Pipeline.Seeds(seeds) } : over

/** What became of a sweep, for its checks to look at. */
export interface Outputs {
  /** As the check takes it. To look at an output that is not decoded throws, and makes it one that is wanted. */
  readonly runs: (check: Check.Check) => Parameters<Check.Check["measure"]>[0]
  /** Decodes what was looked at in vain, in all settings; false where nothing was. */
  readonly decodeWanted: Effect.Effect<boolean, Artifact.DecodeError, Store>
  /** What the check looks at and was not made. */
  readonly missing: (check: Check.Check) => ReadonlyArray<string>
}

/**
 * The outputs of every setting. Most checks look at a report and not at the checkpoints that it is about, which are a
 * thousand times its size: so an output is read only once a check has looked at it, and that check is begun anew. What
 * several settings have in common is read once.
 */
export const outputsOf = <E, R>(
  { graph, params, settings }: Sweep<E, R>,
  { outputs: refs }: Pick<Executor.RunResult, "outputs">
): Outputs => {
  const names = Object.keys(graph.outputs)
  const decoded = new Map<string, unknown>()
  const wanted = new Set<string>()
  const look = (output: string, name: string) => {
    const id = graph.outputs[name]!
    if (decoded.has(id)) return decoded.get(id)
    wanted.add(output)
    throw new Error(`${output} is not decoded yet`)
  }
  const inSetting = (setting: string, names: ReadonlyArray<string>) =>
    names.flatMap((name) =>
      name.endsWith(`[${setting}]`) ? [[name.slice(0, -setting.length - 2), name] as const] : []
    )
  const runs = (check: Check.Check) =>
    settings.map(({ name: setting, params: chosen }) => {
      const looked = inSetting(setting, namesFor(check, settings, names)).map(
        ([output, name]) => [output, { enumerable: true, get: () => look(output, name) }] as const
      )
      return {
        params: { ...params, ...chosen },
        outputs: Object.defineProperties({}, Object.fromEntries(looked))
      }
    })
  const decodeWanted = Effect.gen(function* () {
    const store = yield* Store
    const found = settings.flatMap(({ name }) => inSetting(name, names)).filter(([output]) => wanted.has(output))
    wanted.clear()
    for (const [, name] of found) {
      const id = graph.outputs[name]!
      const ref = refs[name]
      if (ref !== undefined && !decoded.has(id))
        decoded.set(id, yield* store.read(graph.byId.get(id)!.node.artifact, ref))
    }
    return found.length > 0
  })
  const missing = (check: Check.Check) => namesFor(check, settings, names).filter((name) => refs[name] === undefined)
  return { runs, decodeWanted, missing }
}
