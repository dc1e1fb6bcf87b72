/**
 * Fuzzes everything that reads bytes from outside: `npm run fuzz -- [--cases n] [--seed n] [--only target] [--case n]`.
 * A case that should not have happened is printed with the command that runs it alone again. 100,000 cases unless told.
 */
import { parseArgs } from "node:util"
import { caseOf, run, share, type Tally } from "./campaign.ts"
import { textOf } from "./Target.ts"
import { targets } from "./targets/index.ts"
import * as Watchdog from "./watchdog.ts"

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "100000" },
    seed: { type: "string", default: "0" },
    only: { type: "string" },
    case: { type: "string" }
  }
})
const seed = Number(values.seed)
const single = values.case === undefined ? undefined : Number(values.case)
const asked = values.only === undefined ? targets : targets.filter(({ name }) => name === values.only)
const isIndex = (n: number) => Number.isSafeInteger(n) && n >= 0
if (asked.length === 0 || !isIndex(seed) || !isIndex(single ?? 0) || !(Number(values.cases) >= 1)) {
  console.error(
    `--only takes one of: ${targets.map(({ name }) => name).join(", ")}; --seed, --cases and --case take integers`
  )
  process.exit(2)
}

const again = (target: string, index: number) =>
  `npm run fuzz -- --seed ${seed} --only ${JSON.stringify(target)} --case ${index}`

if (single !== undefined)
  for (const target of asked)
    for (const [name, bytes] of Object.entries(caseOf(target, seed, single))) {
      const text = textOf(bytes)
      console.log(`${name}, ${bytes.length} bytes: ${JSON.stringify(text.slice(0, 2000))}`)
      console.log(`  ${Buffer.from(bytes.subarray(0, 200)).toString("hex")}`)
    }

const column = (text: string | number, width: number) => `${text}`.padStart(width)
const row = ({ accepted, cases, refused, target }: Tally) => {
  const sum = [...refused.values()].reduce((a, b) => a + b, 0)
  const by = [...refused].map(([tag, count]) => `${tag} ${count}`).join(", ")
  console.log(`${target.padEnd(28)}${column(cases, 8)}${column(accepted, 9)}${column(sum, 8)}  ${by}`)
}

console.log(`seed ${seed}\n${"target".padEnd(28)}   cases accepted refused  by`)
const watchdog = Watchdog.start(again)
const { findings, tallies } = await run(
  single === undefined ? share(asked, Number(values.cases)) : new Map(asked.map((target) => [target, 1])),
  {
    seed,
    before: ({ name }, index) => watchdog.begins(name, index),
    after: row,
    ...(single === undefined ? {} : { from: single })
  }
)
watchdog.stop()

const cases = tallies.reduce((sum, tally) => sum + tally.cases, 0)
console.log(`${cases} cases, ${findings.length} findings`)
// One of each kind: what differs only in numbers and data is one finding many times.
const kinds = Map.groupBy(
  findings,
  ({ problem, target }) => `${target} ${problem.slice(0, 60).replaceAll(/\d+/g, "n")}`
)
for (const alike of kinds.values()) {
  const { index, problem, target } = alike[0]!
  console.log(`\n${target}, case ${index}: ${problem.slice(0, 1000)}`)
  console.log(`  again: ${again(target, index)}${alike.length > 1 ? ` (and ${alike.length - 1} like it)` : ""}`)
}
process.exitCode = findings.length === 0 ? 0 : 1
