/**
 * Kills the main run at random moments, gives the same command again, and compares every digest with those of a run that
 * nobody disturbed: `npm run kills -- [--points n] [--seed n] [--side-by-side n]`. Takes a few seconds a point.
 *
 * One run in ten begins with an empty store. The others find the loaded corpora and the solved worlds there, which take
 * most of a small run's time, and half of all the starting policy too, so that the kills fall on sampling, pairing, training
 * and evaluation. One in ten has `--workers 2`. Steps are few, but more than a training takes between two saved states.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Rng from "../../dsl/Rng.ts"
import * as KillPoint from "./KillPoint.ts"

const { values } = parseArgs({
  options: {
    points: { type: "string", default: "200" },
    seed: { type: "string", default: "0" },
    "side-by-side": { type: "string", default: "2" }
  }
})
const [points, seed, sideBySide] = [values.points, values.seed, values["side-by-side"]].map(Number) as [
  number,
  number,
  number
]
if (!(points >= 1) || !Number.isSafeInteger(seed) || !(sideBySide >= 1)) {
  console.error("--points, --seed and --side-by-side take integers")
  process.exit(2)
}

const SETTINGS = { baseSteps: 60, steps: 54, trainPrompts: 24, testPrompts: 6, perPrompt: 3 }
const START = fileURLToPath(new URL("../../runtime/cli/start.mjs", import.meta.url))
const set = Object.entries(SETTINGS).flatMap(([name, value]) => ["--set", `${name}=${value}`])
const program = (workers: number): KillPoint.Program => ({
  args: (root) => [START, "run", "dpo", ...set, "--store", root, "--workers", `${workers}`]
})

const folder = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "prefline-kills-")))
process.on("exit", () => Fs.rmSync(folder, { recursive: true, force: true }))

/** Runs undisturbed, and tells which operations on the store's files that took. */
const measured = async (root: string, workers: number) => {
  const log = `${folder}/operations-${Path.basename(root)}-${workers}`
  const ended = await KillPoint.run(program(workers), root, undefined, log)
  if (ended.code !== 0) throw new Error(`the undisturbed run ended with ${ended.code}: ${ended.stderr}`)
  return { operations: Fs.readFileSync(log, "utf8").trim().split("\n"), ms: ended.ms }
}

/** Kept in the stores that most runs begin with. */
const WARM = /^(load\.(brown|mix|sentences)|exact\.|optimize\.tokenizer)/
const TRAINED = /^(load\.(brown|mix|sentences)|exact\.|optimize\.(tokenizer|supervised))/

/** A store with the results of these stages alone. */
const withOnly = (stages: RegExp, from: string, to: string) => {
  Fs.cpSync(from, to, { recursive: true })
  Fs.rmSync(`${to}/runs`, { recursive: true })
  Fs.mkdirSync(`${to}/runs`)
  const kept = new Set<string>()
  for (const path of Fs.globSync(`${to}/actions/*/*.json`)) {
    const { action } = JSON.parse(Fs.readFileSync(path, "utf8"))
    if (!stages.test(action.stage)) Fs.rmSync(path)
    else for (const { digest } of action.output.files) kept.add(digest)
  }
  for (const path of Fs.globSync(`${to}/objects/*/*`))
    if (!kept.has(Path.relative(`${to}/objects`, path).replace("/", ""))) Fs.rmSync(path)
}

const empty = `${folder}/empty`
Fs.mkdirSync(empty)
const whole = `${folder}/whole`
const cold = await measured(whole, 1)
const undisturbed = KillPoint.finishedIn(whole)
const [warm, trained] = [`${folder}/warm`, `${folder}/trained`]
withOnly(WARM, whole, warm)
withOnly(TRAINED, whole, trained)
const copyOf = (from: string, name: string) => {
  const root = `${folder}/${name}`
  Fs.cpSync(from, root, { recursive: true })
  return root
}
const kinds = [
  { name: "trained", from: trained, workers: 1, run: await measured(copyOf(trained, "m0"), 1) },
  { name: "warm", from: warm, workers: 1, run: await measured(copyOf(warm, "m1"), 1) },
  { name: "warm, 2 workers", from: warm, workers: 2, run: await measured(copyOf(warm, "m2"), 2) },
  { name: "empty", from: empty, workers: 1, run: cold }
]
for (const { name, run } of kinds)
  console.log(`${name}: ${run.operations.length} operations, ${(run.ms / 1000).toFixed(1)} s`)
console.log(`${undisturbed.size} nodes; killing at ${points} points, seed ${seed}\n`)

const kindOf = (i: number) => kinds[[0, 1, 0, 1, 0, 2, 0, 1, 0, 3][i % 10]!]!
const rng = Rng.make(seed, "kills")
const drawn = kinds.map(({ name, run }) => KillPoint.moments(points, run, rng.fork(name), Math.floor(points / 4)))
/** In an order in which times and operations alternate. */
const order = rng.permutation(1, points)

const column = (text: string | number, width: number) => `${text}`.padStart(width)
console.log(
  `${column("", 4)}  ${"store".padEnd(16)}${"killed at".padEnd(28)}finished partial  tmp | computed cached  digests`
)
const outcomes: Array<KillPoint.Outcome> = []
let next = 0
const worker = async () => {
  while (next < points) {
    const i = next++
    const kind = kindOf(i)
    const root = copyOf(kind.from, `point-${i}`)
    const moment = drawn[kinds.indexOf(kind)]![order[i]!]!
    const outcome = await KillPoint.endure(program(kind.workers), root, moment, undisturbed)
    Fs.rmSync(root, { recursive: true })
    outcomes.push(outcome)
    const { cached, computed, finished, killed, partial, problems, temporary } = outcome
    console.log(
      `${column(i, 4)}  ${kind.name.padEnd(16)}${(killed ? KillPoint.describe(moment) : "not: it was done before").padEnd(28)}` +
        `${column(finished, 8)}${column(partial, 8)}${column(temporary, 5)} |${column(computed, 9)}${column(cached, 7)}` +
        `  ${problems.length === 0 ? "equal" : problems.join("; ")}`
    )
  }
}
await Promise.all(Array.from({ length: sideBySide }, worker))

const killed = outcomes.filter((outcome) => outcome.killed)
const operations = Map.groupBy(killed, ({ moment }) => (moment._tag === "Time" ? "time" : moment.operation))
const broken = outcomes.filter(({ problems }) => problems.length > 0)
console.log(
  `\n${killed.length} of ${points} killed: ${[...operations].map(([kind, all]) => `${kind} ${all.length}`).join(", ")}`
)
console.log(
  `${killed.filter(({ partial }) => partial > 0).length} left a training's saved state, ${killed.filter(({ temporary }) => temporary > 0).length} a half-written file`
)
console.log(`${outcomes.length - broken.length} of ${points} ended as the undisturbed run`)
process.exitCode = broken.length === 0 ? 0 : 1
