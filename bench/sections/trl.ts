/** DPO end to end, from the start of the process to the saved policy: a pipeline here, Hugging Face TRL's trainer there. */
import { mkdirSync, writeFileSync } from "node:fs"
import * as Path from "node:path"
import { Effect, Schema, Stream } from "effect"
import type * as Artifact from "../../dsl/Artifact.ts"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import * as Checkpoint from "../../dsl/Checkpoint.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Tokenizer from "../../runtime/models/Tokenizer.ts"
import { Store } from "../../runtime/store/Store.ts"
import { STREAM } from "../dpo/experiment.ts"
import * as Process from "../support/process.ts"
import type { Report, Settings } from "../support/Report.ts"
import { median } from "../support/statistics.ts"
import { mebibytes, number, ratio } from "../support/table.ts"

const BATCH = 16
const SEED = 0
/** Metrics of a window of steps may differ by what rounding does in a training of this length. */
const TOLERANCE = 5e-3

const LogEntry = Schema.Struct({
  step: Schema.Int,
  loss: Schema.Finite,
  "rewards/margins": Schema.Finite,
  "rewards/accuracies": Schema.Finite
})
type LogEntry = typeof LogEntry.Type
const METRICS = ["loss", "rewards/margins", "rewards/accuracies"] as const

/** One run of one side. */
interface Run {
  readonly wall: number
  readonly cpuMs: number
  readonly peakBytes: number
  readonly log: ReadonlyArray<LogEntry>
  /** Where the time went, seconds. */
  readonly seconds: Readonly<Record<string, number>>
}

export const trl = Effect.fnUntraced(function* ({ python, quick, say }: Settings) {
  const steps = quick ? 40 : 120
  say("end to end: the policy and the pairs to start from")
  const givens = yield* makeGivens(steps * BATCH)
  const options = {
    checkpoint: givens.checkpoint,
    steps,
    batchSize: BATCH,
    beta: 0.1,
    learningRate: 1e-3,
    logEvery: 10
  }
  const sides: ReadonlyArray<readonly [name: string, run: Effect.Effect<Run, unknown>]> = [
    ["prefline", runPrefline({ ...options, pairs: givens.pairs })],
    ...(python
      ? [1, 2].map((threads) => {
          const name = `TRL, ${threads} thread${threads === 1 ? "" : "s"}`
          return [name, runTrl(python, { ...options, pairs: givens.ordered, threads })] as const
        })
      : [])
  ]
  const runs = new Map<string, Array<Run>>(sides.map(([name]) => [name, []]))
  for (let round = 0; round < (quick ? 1 : 3); round++)
    for (const [name, run] of sides) {
      say(`end to end: ${name}, run ${round + 1}`)
      runs.get(name)!.push(yield* run)
    }
  return report(runs, steps)
}, Effect.scoped)

/** Entries of the command line's `--json` that are read here. */
const Ran = Schema.fromJsonString(
  Schema.Struct({
    nodes: Schema.Array(Schema.Struct({ id: Schema.String, key: Schema.NullOr(Schema.String), ms: Schema.Finite }))
  })
)

const ranOf = (stdout: ReadonlyArray<string>) => Schema.decodeUnknownEffect(Ran)(stdout.at(-1))

const read = <A extends Artifact.Any>(store: string, artifact: A, key: string | null | undefined) =>
  Effect.gen(function* () {
    const { lookup, read } = yield* Store
    const action = yield* Effect.fromOption(yield* lookup(key ?? ""))
    return yield* read(artifact, action.output)
  }).pipe(Effect.provide(Store.layer(store)))

/**
 * Files that both sides start from. TRL reads its pairs in the order of its file, so its file has the order in which this
 * project's trainer draws them: then both see the same batches, and their metrics can be compared step by step.
 */
const makeGivens = Effect.fnUntraced(function* (count: number) {
  const store = Path.join(Process.PROJECT, ".bench", "store")
  const pipeline = Path.join(Process.PROJECT, "bench/dpo/givens.ts")
  const ran = yield* ranOf((yield* Process.prefline(["run", pipeline, "--store", store, "--json"])).stdout)
  const keyOf = (id: string) => ran.nodes.find((node) => node.id === id)?.key
  const checkpoint = yield* read(store, CheckpointFolder, keyOf("base"))
  const { encode } = yield* Tokenizer.fromJson(checkpoint.tokenizer, checkpoint.tokenizerConfig)
  const records = yield* Stream.runCollect((yield* read(store, Pairs, keyOf("train-pairs"))).stream)
  const pairs = records.filter(isSplitAlike(encode)).map(({ chosen, prompt, rejected }) => ({
    prompt: prompt.text,
    chosen: chosen.text,
    rejected: rejected.text
  }))
  const cycled = Array.from({ length: count }, (_, i) => JSON.stringify(pairs[i % pairs.length]))
  const order = Rng.make(SEED, STREAM).fork("order").permutation(0, count)
  const folder = yield* Process.temporary
  const folders = { checkpoint: Path.join(folder, "checkpoint") }
  mkdirSync(folders.checkpoint)
  for (const { bytes, name } of Checkpoint.toFiles(checkpoint))
    if (name !== "trainer_state.json") writeFileSync(Path.join(folders.checkpoint, name), Buffer.concat([...bytes]))
  const write = (name: string, lines: ReadonlyArray<string>) => {
    writeFileSync(Path.join(folder, name), `${lines.join("\n")}\n`)
    return Path.join(folder, name)
  }
  return {
    ...folders,
    pairs: write("pairs.jsonl", cycled),
    ordered: write(
      "ordered.jsonl",
      [...order].map((i) => cycled[i]!)
    )
  }
})

/** TRL splits the tokens of prompt and answer together; such pairs have the same tokens when they are split apart. */
const isSplitAlike =
  (encode: (text: string) => ReadonlyArray<number>) =>
  ({ chosen, prompt, rejected }: Pair): boolean =>
    [chosen, rejected].every(
      ({ text }) =>
        text !== "" && [...encode(prompt.text), ...encode(text)].join() === encode(prompt.text + text).join()
    )

const runPrefline = Effect.fnUntraced(function* (options: Readonly<Record<string, string | number>>) {
  const store = Path.join(yield* Process.temporary, "store")
  const set = Object.entries(options).flatMap(([name, value]) => ["--set", `${name}=${value}`])
  const pipeline = Path.join(Process.PROJECT, "bench/dpo/experiment.ts")
  const ended = yield* Process.prefline(["run", pipeline, "--store", store, "--json", "--seed", String(SEED), ...set])
  const { nodes } = yield* ranOf(ended.stdout)
  const { trainerState } = yield* read(store, CheckpointFolder, nodes.find(({ id }) => id === "policy")?.key)
  const log = yield* Schema.decodeUnknownEffect(Schema.Array(LogEntry))(trainerState?.["log_history"])
  const spent = Object.fromEntries(nodes.map(({ id, ms }) => [id, ms / 1000]))
  const rest = ended.wall / 1000 - Object.values(spent).reduce((sum, x) => sum + x, 0)
  return { ...ended, log, seconds: { ...spent, "start, end, store": rest } }
}, Effect.scoped)

const TrlAnswer = Schema.fromJsonString(
  Schema.Struct({
    log: Schema.Array(LogEntry),
    seconds: Schema.Record(Schema.String, Schema.Finite),
    cpuMs: Schema.Finite,
    peakBytes: Schema.Finite
  })
)

const runTrl = Effect.fnUntraced(function* (python: string, options: Readonly<Record<string, string | number>>) {
  const output = yield* Process.temporary
  const script = Path.join(Process.PROJECT, "bench/python/dpo.py")
  const ended = yield* Process.run(python, [script, JSON.stringify({ ...options, output })])
  const answer = yield* Schema.decodeUnknownEffect(TrlAnswer)(ended.stdout.at(-1))
  return { ...answer, wall: ended.wall }
}, Effect.scoped)

const report = (runs: ReadonlyMap<string, ReadonlyArray<Run>>, steps: number): Report => {
  const names = [...runs.keys()]
  const own = runs.get(names[0]!)!
  const of = (value: (run: Run) => number) => (name: string) => median(runs.get(name)!.map(value))
  const compared = (value: (run: Run) => number) =>
    names.map((name) =>
      name === names[0]
        ? number(of(value)(name))
        : `${number(of(value)(name))}  ${ratio(of(value)(name) / of(value)(names[0]!))}`
    )
  const last = own[0]!.log.at(-1)!
  const failures: Array<string> = []
  for (const name of names.slice(1)) {
    const { log } = runs.get(name)![0]!
    for (const [i, entry] of own[0]!.log.entries())
      for (const metric of METRICS)
        if (!(Math.abs(entry[metric] - (log[i]?.[metric] ?? Number.NaN)) <= TOLERANCE))
          failures.push(`${metric} of step ${entry.step}: prefline ${entry[metric]}, ${name} ${log[i]?.[metric]}`)
  }
  return {
    title: `DPO end to end: ${steps} steps of ${BATCH} pairs, process start to saved policy (x: slower than prefline)`,
    rows: [
      ["", "", ...names],
      ["wall, s", "median", ...compared(({ wall }) => wall / 1000)],
      ["CPU, s", "median", ...compared(({ cpuMs }) => cpuMs / 1000)],
      ["peak memory", "", ...names.map((name) => mebibytes(of(({ peakBytes }) => peakBytes)(name)))],
      ...METRICS.map((metric) => [
        metric,
        `step ${last.step}`,
        ...names.map((name) => runs.get(name)![0]!.log.at(-1)![metric].toFixed(4))
      ])
    ],
    notes: [
      ...names.map((name) => {
        const parts = Object.entries(runs.get(name)!.at(-1)!.seconds).map(([part, s]) => `${part} ${number(s)}`)
        return `${name}, seconds: ${parts.join(", ")}`
      }),
      `Both see the same batches in the same order; metrics of all windows of 10 steps are compared, within ${TOLERANCE}.`
    ],
    failures,
    json: Object.fromEntries(runs)
  }
}
