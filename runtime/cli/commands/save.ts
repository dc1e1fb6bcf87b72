import { join } from "node:path"
import { Effect, FileSystem, Option, Schema, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type * as Artifact from "../../../dsl/Artifact.ts"
import * as Artifacts from "../../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../../dsl/checkpointArtifact.ts"
import { type Exporter, exporters, ThresholdMissing } from "../../interchange/artifacts.ts"
import * as HuggingFace from "../../interchange/huggingFace.ts"
import * as Metrics from "../../interchange/metrics.ts"
import * as Trl from "../../interchange/Trl.ts"
import * as TensorBoard from "../../interchange/tensorBoard.ts"
import { OutputExists, OutputFailed, writeFile, writeRows } from "../../interchange/writeRows.ts"
import { toGguf } from "../../models/gguf.ts"
import type { ArtifactRef } from "../../store/ArtifactRef.ts"
import * as Journal from "../../store/Journal.ts"
import { Store } from "../../store/Store.ts"
import { existingStoreAt } from "../environment.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { line, Output, print, printJson } from "../Output.ts"
import type { RunView } from "../RunView.ts"
import * as Target from "../Target.ts"

/** What was named is not of the kind that can be saved like that. */
export class NotSavable extends Schema.TaggedError<NotSavable>()("NotSavable", {
  what: Schema.String,
  form: Schema.String,
  wanted: Schema.String
}) {
  override get message() {
    return `${this.what} cannot be saved as ${this.form}: ${this.wanted}`
  }
}

const FORMS = ["trl", "records", "hf", "gguf", "csv", "tensorboard"] as const

export const save = Command.make(
  "save",
  {
    what: Argument.String("what").pipe(
      Argument.withDescription(
        "A run, a node or output of one (run/node), or the first digits of a digest; as in `show`"
      ),
      Argument.optional
    ),
    form: Flag.Literals("as", FORMS).pipe(
      Flag.withDescription(
        "Records: trl (TRL's types), records (prefline's own). Checkpoints: hf (a folder for transformers), gguf (a file for llama.cpp). Runs: csv, tensorboard"
      )
    ),
    out: Flag.String("out").pipe(
      Flag.withMetavar("<path>"),
      Flag.withDescription("A .jsonl or .parquet file, a .gguf or .csv file, or a folder (hf, tensorboard)")
    ),
    threshold: Flag.Finite("threshold").pipe(
      Flag.withDescription("For scored answers as trl: answers with a score above it are good"),
      Flag.optional
    ),
    force: Flags.force,
    store: Flags.store,
    json: Flags.json
  },
  Effect.fn("cli.save")(
    function* ({ force, form, json, out, threshold, what }) {
      const target = yield* Target.find(what)
      const to: Destination = { out, force, json }
      switch (form) {
        case "csv":
        case "tensorboard":
          return yield* saveMetrics(yield* runOf(target, form), form, to)
        case "hf":
        case "gguf":
          return yield* saveCheckpoint(yield* refOf(target, form, CheckpointFolder.name), form, to)
        default:
          return yield* saveRecords(yield* refOf(target, form), form, to, Option.getOrUndefined(threshold))
      }
    },
    (effect, { store }) => Effect.provide(effect, existingStoreAt(store))
  )
).pipe(
  Command.withDescription(
    "Writes what a run made for other tools: data for TRL, models for transformers and llama.cpp, metrics"
  ),
  Command.withExamples([
    {
      command: "npm run prefline -- save dpo/policy --as hf --out policy",
      description: "A folder that transformers loads"
    },
    {
      command: "npm run prefline -- save dpo/pair --as trl --out pairs.parquet",
      description: "Preference pairs for TRL"
    },
    {
      command: "npm run prefline -- save dpo --as csv --out metrics.csv",
      description: "Training logs and evaluations"
    },
    { command: "npm run prefline -- save dpo --as tensorboard --out logs", description: "The same for TensorBoard" }
  ])
)

interface Destination {
  readonly out: string
  readonly force: boolean
  readonly json: boolean
}

const saved = ({ json, out }: Destination, facts: object, said: string) =>
  json ? printJson({ out, ...facts }) : print(`${out}: ${said}`)

const runOf = (target: Target.Target, form: string): Effect.Effect<RunView, NotSavable> =>
  target._tag === "Run"
    ? Effect.succeed(target.run)
    : Effect.fail(new NotSavable({ what: "a part of a run", form, wanted: "name the run, whose metrics are saved" }))

/** The artifact that is meant: of a run, its only output of the wanted kind. */
const refOf = Effect.fnUntraced(function* (target: Target.Target, form: string, kind?: string) {
  if (target._tag === "Artifact") return yield* ofKind(target.ref, form, kind)
  if (target._tag === "Node") {
    const { id, output, status } = target.node
    if (output === undefined) return yield* new NotSavable({ what: id, form, wanted: `it has no output (${status})` })
    return yield* ofKind(output, form, kind)
  }
  const { nodes, outputs, run } = target.run
  const found = Object.entries(outputs).flatMap(([name, node]) => {
    const output = nodes.find(({ id }) => id === node)?.output
    return output !== undefined && fits(output, kind) ? [{ name, output }] : []
  })
  if (found.length === 1) return found[0]!.output
  const which =
    found.length === 0 ? "none of its outputs is of that kind; name a node, run/node" : "name one of its outputs"
  const names = found.map(({ name }) => `${run}/${name}`).join(", ")
  return yield* new NotSavable({ what: `run ${run}`, form, wanted: names === "" ? which : `${which}: ${names}` })
})

const RECORDS: Readonly<Record<string, Artifact.Any>> = Object.fromEntries(
  [
    Artifacts.Texts,
    Artifacts.Prompts,
    Artifacts.Completions,
    Artifacts.Scored,
    Artifacts.Pairs,
    Artifacts.Rankings,
    Artifacts.PairLogProbsSet
  ].map((artifact) => [artifact.name, artifact])
)

const fits = ({ artifact }: ArtifactRef, kind: string | undefined) =>
  kind === undefined ? artifact in RECORDS : artifact === kind

const ofKind = (ref: ArtifactRef, form: string, kind: string | undefined) =>
  fits(ref, kind)
    ? Effect.succeed(ref)
    : Effect.fail(
        new NotSavable({
          what: `an artifact of the kind ${ref.artifact}`,
          form,
          wanted: `it takes ${kind ?? `records (${Object.keys(RECORDS).join(", ")})`}`
        })
      )

const saveRecords = Effect.fnUntraced(function* (
  ref: ArtifactRef,
  form: "trl" | "records",
  to: Destination,
  threshold: number | undefined
) {
  const records: Artifact.Records<any> = yield* (yield* Store).read(RECORDS[ref.artifact]!, ref)
  const options = { columns: [] as ReadonlyArray<string>, force: to.force }
  if (form === "records") {
    const written = yield* writeRows(to.out, records.stream, options)
    return yield* saved(to, { artifact: ref.artifact, written }, Format.count(written, "record"))
  }
  const exporter: Exporter | undefined = exporters(threshold)[ref.artifact]
  if (exporter === undefined) {
    const known = Object.keys(exporters()).join(", ")
    return yield* new NotSavable({ what: ref.artifact, form, wanted: `TRL has types for ${known}` })
  }
  let cut = 0
  const rows = records.stream.pipe(
    Stream.tap((record) => Effect.sync(() => (cut += cutOff(record)))),
    Stream.mapEffect((record) =>
      Effect.try({
        try: () => exporter.examples(record as never).map(Trl.encode),
        catch: (cause) => cause
      }).pipe(Effect.catch((cause) => (cause instanceof ThresholdMissing ? Effect.fail(cause) : Effect.die(cause))))
    ),
    Stream.flattenIterable
  )
  const columns = Trl.columnsOf(exporter.type, false)
  const written = yield* writeRows(to.out, rows, { ...options, columns })
  if (cut > 0) yield* warn(`cut off at the longest: ${Format.count(cut, "answer")}, which TRL would train to end there`)
  yield* saved(to, { type: exporter.type, written, cut }, `${Format.count(written, "record")} of ${exporter.type}`)
})

/** Answers of a record that did not end by themselves. */
const cutOff = (
  record: { readonly completions?: ReadonlyArray<Artifacts.Completion> } & Partial<Artifacts.Pair>
): number =>
  [...(record.completions ?? []), record.chosen, record.rejected].filter((answer) => answer?.finish === "length").length

const warn = (text: string) => Output.use(({ stderr }) => line(stderr, `${stderr.style.yellow("prefline:")} ${text}`))

const saveCheckpoint = Effect.fnUntraced(function* (ref: ArtifactRef, form: "hf" | "gguf", to: Destination) {
  const checkpoint = yield* (yield* Store).read(CheckpointFolder, ref)
  if (form === "gguf") {
    yield* writeFile(to.out, Stream.fromIterable(yield* toGguf(checkpoint)), to.force)
    return yield* saved(to, { files: [to.out] }, "a model for llama.cpp")
  }
  const files = yield* HuggingFace.files(checkpoint)
  yield* emptyFolder(to)
  for (const { bytes, name } of files) yield* writeFile(join(to.out, name), Stream.fromIterable(bytes), to.force)
  yield* saved(to, { files: files.map(({ name }) => name) }, files.map(({ name }) => name).join(", "))
})

/** A folder that holds something else would be a mixture of both. */
const emptyFolder = Effect.fnUntraced(function* ({ force, out }: Destination) {
  const fs = yield* FileSystem.FileSystem
  const failed = (cause: Error) => new OutputFailed({ path: out, problem: cause.message })
  if (force || !(yield* Effect.mapError(fs.exists(out), failed))) return
  const present = yield* Effect.mapError(fs.readDirectory(out), failed)
  if (present.length > 0) return yield* new OutputExists({ path: out })
})

const saveMetrics = Effect.fnUntraced(function* ({ run }: RunView, form: "csv" | "tensorboard", to: Destination) {
  const events = yield* Journal.read((yield* Store).root, run)
  const finished = new Map<string, Metrics.Finished>()
  for (const event of events) if (event._tag === "NodeFinished") finished.set(event.node, event)
  const metrics = yield* Metrics.ofNodes([...finished.values()].toSorted((a, b) => (a.node < b.node ? -1 : 1)))
  const said = Format.count(metrics.length, "number")
  if (form === "csv") {
    yield* writeFile(to.out, Stream.succeed(new TextEncoder().encode(Metrics.toCsv(metrics))), to.force)
    return yield* saved(to, { metrics: metrics.length }, said)
  }
  yield* emptyFolder(to)
  for (const [node, own] of Map.groupBy(metrics, ({ node }) => node)) {
    const scalars = own.flatMap(({ high, low, name, step, value, wallTime }) => {
      const scalar = (tag: string, value: number) => ({ tag, value, step: step ?? 0, wallTime })
      if (step !== undefined) return [scalar(`train/${name}`, value)]
      return [scalar(`eval/${name}`, value), scalar(`eval/${name}/low`, low!), scalar(`eval/${name}/high`, high!)]
    })
    const began = Math.floor(own[0]!.wallTime)
    const name = `events.out.tfevents.${String(began).padStart(10, "0")}.prefline`
    yield* writeFile(join(to.out, node, name), Stream.succeed(TensorBoard.encode(scalars)), to.force)
  }
  yield* saved(to, { metrics: metrics.length }, said)
})
