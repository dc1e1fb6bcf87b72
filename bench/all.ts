/**
 * All benches: `node bench/all.ts [--quick] [--json] [--only train,sampling,…] [--no-python]`. See `bench/README.md`.
 * `--quick` takes the shortest of each and leaves out those that are programs of their own.
 * Nothing is asserted about time. An engine that did other work than the others makes the process end with status 1.
 */
import * as Path from "node:path"
import { parseArgs } from "node:util"
import { Cause, Effect, Exit } from "effect"
import { ensure } from "./python/setup.ts"
import { first } from "./sections/first.ts"
import { growth } from "./sections/growth.ts"
import { sampling } from "./sections/sampling.ts"
import { train } from "./sections/train.ts"
import { trl } from "./sections/trl.ts"
import * as Machine from "./support/machine.ts"
import * as Process from "./support/process.ts"
import type { Report, Settings } from "./support/Report.ts"
import { table } from "./support/table.ts"

const SECTIONS: Readonly<Record<string, (settings: Settings) => Effect.Effect<Report, unknown>>> = {
  train,
  sampling,
  trl,
  first,
  growth
}

/** Benches that are programs of their own and print their own tables; which of them have an answer for programs. */
const PROGRAMS: Readonly<Record<string, { readonly quick: ReadonlyArray<string>; readonly json: boolean }>> = {
  matmul: { quick: ["3"], json: false },
  workers: { quick: ["--quick"], json: true },
  graph: { quick: ["--quick"], json: true }
}

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    only: { type: "string" },
    "no-python": { type: "boolean", default: false }
  }
})

const known = [...Object.keys(SECTIONS), ...Object.keys(PROGRAMS)]
const chosen = flags.only?.split(",") ?? (flags.quick ? Object.keys(SECTIONS) : known)
const unknown = chosen.filter((name) => !known.includes(name))
if (unknown.length > 0) {
  console.error(`there is no bench ${unknown.join(", ")}; there are ${known.join(", ")}`)
  process.exit(2)
}

/** With `--json` the answer alone goes to standard output. */
const say = (line: string) => console.error(line)
const show = (text: string) => (flags.json ? undefined : console.log(text))

const settings = (): Settings => {
  const base = { quick: flags.quick, say }
  if (!chosen.some((name) => ["train", "sampling", "trl", "growth"].includes(name))) return base
  const environment = flags["no-python"] ? { missing: "--no-python was given" } : ensure(say)
  if ("python" in environment) return { ...base, python: environment.python }
  say(`\n*** WITHOUT PYTORCH, transformers AND TRL: ${environment.missing} ***\n`)
  return base
}

const program = Effect.fnUntraced(function* (name: string) {
  const { json, quick } = PROGRAMS[name]!
  say(name)
  const args = [...(flags.quick ? quick : []), ...(flags.json && json ? ["--json"] : [])]
  const { stdout } = yield* Process.run(process.execPath, [Path.join(Process.PROJECT, "bench", `${name}.ts`), ...args])
  const result: unknown = flags.json && json ? JSON.parse(stdout.at(-1) ?? "null") : stdout
  return { title: name, rows: [], notes: stdout, failures: [], json: result } satisfies Report
})

const main = Effect.gen(function* () {
  const machine = Machine.describe()
  show(Machine.toText(machine))
  const given = settings()
  const found: Record<string, unknown> = {}
  let failures = 0
  for (const name of chosen) {
    const report = yield* SECTIONS[name]?.(given) ?? program(name)
    show(`\n${report.title}\n`)
    if (report.rows.length > 0) show(table(report.rows))
    for (const note of report.notes) show(note)
    for (const failure of report.failures) say(`*** NOT THE SAME WORK: ${failure}`)
    failures += report.failures.length
    found[name] = { result: report.json, failures: report.failures }
  }
  const done = Machine.atEnd(machine)
  show(`\nload average at the end: ${Machine.load(done.loadAtEnd ?? [])}`)
  if (flags.json) console.log(JSON.stringify({ machine: done, quick: flags.quick, benches: found }))
  return failures
})

const exit = await Effect.runPromiseExit(main)
if (Exit.isFailure(exit))
  say(
    `*** ${Cause.prettyErrors(exit.cause)
      .map(({ message }) => message)
      .join("\n")}`
  )
process.exitCode = Exit.isSuccess(exit) && exit.value === 0 ? 0 : 1
