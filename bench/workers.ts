/**
 * What worker threads bring: eight independent trainings of a small Llama, computed in one thread and with two workers,
 * each in a process and a store of its own. Prints wall times, their ratio, the processes' CPU times and whether the
 * digests are the same; `--json` prints one line for machines, `--quick` trains a fifth of the steps, `--alternate <n>`
 * measures both n times in turn and takes the shortest.
 *
 * Two workers need two cores that are otherwise idle to be twice as fast. CPU time tells the rest: what it has more with
 * two is the price of the second thread (its start, its code compiled again) and of caches that are shared.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { enableCompileCache } from "node:module"
import { availableParallelism, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, Layer } from "effect"
import { Count, withDefault } from "../dsl/Params.ts"
import * as Pipeline from "../dsl/Pipeline.ts"
import { Device } from "../runtime/device/Device.ts"
import * as Executor from "../runtime/executor/Executor.ts"
import * as Pool from "../runtime/executor/pool/Pool.ts"
import { CodeHash } from "../runtime/store/CodeHash.ts"
import { Store } from "../runtime/store/Store.ts"
import { sentences } from "../stages/load/sentences.ts"
import { untrained } from "../stages/load/untrained.ts"
import { optimize } from "../stages/optimize/optimize.ts"

const TRAININGS = 8
const STEPS = 200

const training = Pipeline.make(
  "training",
  { description: "A Llama of width 64 on reviews", params: { steps: Count.pipe(withDefault(STEPS)) } },
  ({ steps }) => {
    const texts = sentences({ split: "train", lowercase: true, maxWords: 12 })
    const fresh = texts.pipe(optimize.tokenizer({ vocabSize: 512 }), untrained())
    return { policy: texts.pipe(optimize.supervised({ from: fresh, steps })) }
  }
)

/** Found by workers. */
export const sweep = Pipeline.sweep({ seed: Pipeline.Seeds(TRAININGS) }, training)

interface Measured {
  readonly workers: number
  /** Seconds, from before the device is opened until the workers are gone. */
  readonly wall: number
  /** Seconds of all threads. */
  readonly cpu: number
  readonly peakMB: number
  readonly digests: Readonly<Record<string, string | undefined>>
}

const measure = (workers: number, steps: number): Promise<Measured> => {
  const root = mkdtempSync(join(tmpdir(), "prefline-bench-"))
  const begun = performance.now()
  const before = process.cpuUsage()
  const source = { module: import.meta.url, export: "sweep" }
  return Effect.gen(function* () {
    const run = Executor.run(yield* Pipeline.build(sweep, { steps }), { source })
    const { outputs } = yield* workers > 1 ? Effect.provide(run, Pool.layer(workers)) : run
    return Object.fromEntries(Object.entries(outputs).map(([name, output]) => [name, output?.digest]))
  }).pipe(
    Effect.provide(Layer.mergeAll(Store.layer(root), CodeHash.layer, Device.layer("wasm"))),
    Effect.map((digests) => {
      const { system, user } = process.cpuUsage(before)
      const peakMB = process.resourceUsage().maxRSS / 1024
      return { workers, wall: (performance.now() - begun) / 1000, cpu: (user + system) / 1e6, peakMB, digests }
    }),
    Effect.ensuring(Effect.sync(() => rmSync(root, { recursive: true, force: true }))),
    (measured) => Effect.runPromise(measured as Effect.Effect<Measured>)
  )
}

const inProcess = (workers: number, steps: number): Measured =>
  JSON.parse(
    execFileSync(process.execPath, [fileURLToPath(import.meta.url), "--measure", `${workers}`, `${steps}`], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"]
    })
  )

const shortest = (all: ReadonlyArray<Measured>) => all.reduce((best, next) => (next.wall < best.wall ? next : best))

const main = async (args: ReadonlyArray<string>) => {
  if (args[0] === "--measure") {
    enableCompileCache() // as the command line does
    return console.log(JSON.stringify(await measure(Number(args[1]), Number(args[2]))))
  }
  const steps = args.includes("--quick") ? STEPS / 5 : STEPS
  const times = args.includes("--alternate") ? Number(args[args.indexOf("--alternate") + 1]) : 1
  const turns = Array.from({ length: times }, () => [inProcess(1, steps), inProcess(2, steps)] as const)
  const [one, two] = [shortest(turns.map(([one]) => one)), shortest(turns.map(([, two]) => two))]
  const identical = turns.flat().every(({ digests }) => JSON.stringify(digests) === JSON.stringify(one.digests))
  const ratio = one.wall / two.wall
  const rows = [one, two].map(({ digests: _, ...row }) => row)
  const machine = { cores: availableParallelism(), load: loadavg()[0] }
  if (args.includes("--json"))
    return console.log(JSON.stringify({ trainings: TRAININGS, steps, ...machine, rows, ratio, identical }))
  console.log(
    `${TRAININGS} trainings of ${steps} steps, ${machine.cores} cores, load ${machine.load?.toFixed(1)} at the end`
  )
  console.log("workers   wall s    CPU s   peak MB")
  for (const { cpu, peakMB, wall, workers } of rows) {
    const cells = [wall.toFixed(1).padStart(8), cpu.toFixed(1).padStart(8), peakMB.toFixed(0).padStart(9)]
    console.log(`${String(workers).padStart(7)} ${cells.join(" ")}`)
  }
  console.log(`two are ${ratio.toFixed(2)} times as fast as one; digests ${identical ? "are the same" : "DIFFER"}`)
  if (!identical) process.exitCode = 1
}

// A worker imports this module for its pipeline.
if (process.argv[1] === fileURLToPath(import.meta.url) && (await import("node:worker_threads")).isMainThread) {
  await main(process.argv.slice(2))
}
