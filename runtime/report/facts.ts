/** All that a report tells of a run, read from its journal, its artifacts, and its pipeline where that is still there. */
import { existsSync } from "node:fs"
import { relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, Option, Schema, Stream } from "effect"
import { EvaluationReport } from "../../dsl/artifacts.ts"
import type * as Json from "../../dsl/Json.ts"
import type * as Pipeline from "../../dsl/Pipeline.ts"
import * as Catalog from "../cli/Catalog.ts"
import * as PipelineSource from "../cli/PipelineSource.ts"
import * as RunView from "../cli/RunView.ts"
import { describe } from "../executor/errors.ts"
import type { Action } from "../store/Action.ts"
import type { ArtifactRef } from "../store/ArtifactRef.ts"
import * as Journal from "../store/Journal.ts"
import { Store } from "../store/Store.ts"
import * as Claims from "./claims.ts"
import type { Evaluated } from "./sweeps.ts"
import type { Training } from "./trainings.ts"

export interface Facts {
  readonly view: RunView.RunView
  /** Attempts that failed and were made again, by node. */
  readonly retries: ReadonlyMap<string, ReadonlyArray<string>>
  /** The pipeline, where its module is in the catalogue or in this project. */
  readonly pipeline: Pipeline.Pipeline | undefined
  /** What the store knows of the nodes' keys, by node. */
  readonly actions: ReadonlyMap<string, Action>
  readonly evaluations: ReadonlyArray<Evaluated>
  readonly trainings: ReadonlyArray<Training>
  readonly checks: ReadonlyArray<Claims.Checked>
  /** What could not be read, and what was left out, in words. */
  readonly remarks: ReadonlyArray<string>
}

/** As many of a kind are read: beyond that a page says what it leaves out. */
const MOST = { evaluations: 4000, trainings: 240, actions: 2500 }

export const gather = Effect.fn("report.gather")(function* (run: string) {
  const view = yield* RunView.load(run)
  const remarks: Array<string> = []
  const pipeline = yield* pipelineOf(view, remarks)
  const { evaluations, trainings } = yield* outcomes(view, remarks)
  const checks = pipeline === undefined ? [] : yield* Claims.ofPipeline(pipeline, view)
  const facts: Facts = {
    view,
    pipeline,
    retries: yield* retriesOf(run),
    actions: yield* actionsOf(view, remarks),
    evaluations,
    trainings,
    checks,
    remarks
  }
  return facts
})

const retriesOf = Effect.fnUntraced(function* (run: string) {
  const events = yield* Journal.read((yield* Store).root, run)
  const retries = new Map<string, ReadonlyArray<string>>()
  for (const event of events)
    if (event._tag === "NodeRetried") retries.set(event.node, [...(retries.get(event.node) ?? []), event.error])
  return retries as Facts["retries"]
})

/**
 * The pipeline that a run was of. To look at a run must not run code from wherever its journal points to: only the
 * catalogue's modules and those below the working directory are imported.
 */
const pipelineOf = Effect.fnUntraced(function* ({ pipeline, source }: RunView.RunView, remarks: Array<string>) {
  const name = pipeline.split("/")[0]!
  const found = Effect.gen(function* () {
    const file = source.module.startsWith("file:") ? fileURLToPath(source.module) : source.module
    const entries = yield* Catalog.entries
    const entry =
      entries.find(({ module }) => module === source.module) ??
      (existsSync(file) ? undefined : entries.find((entry) => entry.pipeline.name === name))
    if (entry !== undefined) return entry.pipeline
    if (!existsSync(file)) return "it is there no more" as const
    return isInside(file)
      ? (yield* PipelineSource.find(`${file}#${source.export}`)).pipeline
      : ("it is not in this project" as const)
  })
  const result = yield* Effect.result(found)
  const why = result._tag === "Success" ? result.success : describe(result.failure)
  if (typeof why !== "string") return why
  const told = why.replaceAll(`${process.cwd()}${sep}`, "")
  remarks.push(`The pipeline's module was not read (${told}), so its paper, defaults and checks are missing here.`)
  return undefined
})

const isInside = (file: string) => {
  const path = relative(process.cwd(), file)
  return path !== "" && !path.startsWith(`..${sep}`) && path !== ".." && !path.startsWith(sep)
}

/** The module that a run came from, as readers elsewhere may see it: without the folders above the project. */
export const moduleOf = ({ source }: RunView.RunView): string => {
  const file = source.module.startsWith("file:") ? fileURLToPath(source.module) : source.module
  const path = isInside(file) ? relative(process.cwd(), file) : file.split(sep).slice(-3).join("/")
  return source.export === "default" ? path : `${path}#${source.export}`
}

/** Evaluations and trainings' logs among the artifacts. One that cannot be read is a remark, not an end. */
const outcomes = Effect.fnUntraced(function* ({ nodes, outputs }: RunView.RunView, remarks: Array<string>) {
  const store = yield* Store
  // One node may be several outputs: those of a sweep at settings that it does not depend on.
  const namesOf = Map.groupBy(Object.keys(outputs), (name) => outputs[name]!)
  const evaluations: Array<Evaluated> = []
  const trainings: Array<Training> = []
  const leftOut = { evaluations: 0, trainings: 0 }
  for (const { id, output, stage } of nodes) {
    if (output === undefined) continue
    const unreadable = (cause: unknown) => {
      remarks.push(`The output of ${id} could not be read: ${describe(cause)}`)
      return Effect.void
    }
    if (output.artifact === EvaluationReport.name) {
      if (evaluations.length >= MOST.evaluations) leftOut.evaluations++
      else {
        const evaluation = yield* Effect.catch(store.read(EvaluationReport, output), unreadable)
        if (evaluation !== undefined)
          evaluations.push(...(namesOf.get(id) ?? [id]).map((name) => ({ name, node: id, evaluation })))
      }
    } else if (output.files.some((file) => file.name === LOG)) {
      if (trainings.length >= MOST.trainings) leftOut.trainings++
      else {
        const log = yield* Effect.catch(logOf(output), unreadable)
        if (log !== undefined && log.length > 0) trainings.push({ node: id, stage, log })
      }
    }
  }
  for (const [kind, count] of Object.entries(leftOut))
    if (count > 0) remarks.push(`The page would be too large with all of them: ${count} ${kind} are left out.`)
  return { evaluations, trainings }
})

const LOG = "trainer_state.json"

const decodeState = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Struct({ log_history: Schema.Array(Schema.Record(Schema.String, Schema.Json)) }))
)

/** Only the log: the weights beside it are not read. Entries may hold more than numbers where another trainer wrote them. */
const logOf = Effect.fnUntraced(function* (output: ArtifactRef) {
  const store = yield* Store
  const text = yield* store.open(output).open(LOG).pipe(Stream.decodeText(), Stream.mkString)
  const { log_history } = yield* decodeState(text)
  return log_history.map(
    (entry) =>
      Object.fromEntries(
        Object.entries(entry).filter(([, value]: [string, Json.Json]) => typeof value === "number")
      ) as Readonly<Record<string, number>>
  )
})

const actionsOf = Effect.fnUntraced(function* ({ nodes }: RunView.RunView, remarks: Array<string>) {
  const store = yield* Store
  const actions = new Map<string, Action>()
  for (const { id, key } of nodes.slice(0, MOST.actions)) {
    if (key === undefined) continue
    const action = yield* Effect.catch(store.lookup(key), (cause) => {
      remarks.push(`What the key of ${id} is made of could not be read: ${describe(cause)}`)
      return Effect.succeed(Option.none<Action>())
    })
    if (Option.isSome(action)) actions.set(id, action.value)
  }
  return actions as Facts["actions"]
})
