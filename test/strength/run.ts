/**
 * How strong the laws and golden tests are: seeds each known bug alone into a copy of the sources and tells which test
 * fails first. Writes `docs/law-strength.md`.
 *
 *     npm run strength [-- <pattern of bugs' names>]   with a pattern, nothing is written
 */
import { readFileSync, writeFileSync } from "node:fs"
import { type Bug, bugs, type Tests } from "./bugs.ts"
import { makeCopy, runTests, type Tried } from "./copy.ts"

const REQUIRED = 0.95

/** What became of a bug: the first test that failed, if one did. */
interface Found {
  readonly bug: Bug
  readonly killer: { readonly file: string; readonly test: string; readonly law: string | undefined } | undefined
}

const pattern = new RegExp(process.argv[2] ?? "")
const chosen = bugs.filter(({ name }) => pattern.test(name))
const copy = makeCopy(new URL("../../", import.meta.url))

/** The tests must hold without a bug: else a failure tells nothing. */
const control = (): void => {
  const named = chosen.flatMap(({ tests }) => tests)
  const [whole, parts] = [
    named.filter(({ only }) => only === undefined),
    named.filter(({ only }) => only !== undefined)
  ]
  const filesOf = (tests: ReadonlyArray<Tests>) => [...new Set(tests.map(({ file }) => file))]
  const only = [...new Set(parts.map(({ only }) => only))].join("|")
  const tried = [
    ...(whole.length === 0 ? [] : [runTests(copy.root, filesOf(whole))]),
    ...(parts.length === 0 ? [] : [runTests(copy.root, filesOf(parts), only)])
  ]
  for (const { failed, ran } of tried) {
    if (failed !== undefined) throw new Error(`without any bug there fails: ${failed.test}`)
    console.log(`without any bug ${ran} tests hold`)
  }
}

const seed = (bug: Bug): Found => {
  const path = new URL(bug.file, copy.root)
  const before = readFileSync(path, "utf8")
  const parts = before.split(bug.text)
  if (parts.length !== 2) throw new Error(`${bug.name}: its text stands ${parts.length - 1} times in ${bug.file}`)
  writeFileSync(path, parts.join(bug.wrong))
  try {
    for (const tests of bug.tests) {
      const killer = killerOf(tests, runTests(copy.root, [tests.file], tests.only))
      if (killer !== undefined) return { bug, killer }
    }
    return { bug, killer: undefined }
  } finally {
    writeFileSync(path, before)
  }
}

const killerOf = (tests: Tests, { failed, ran }: Tried): Found["killer"] => {
  if (ran === 0) throw new Error(`no test of ${tests.file} runs: is ${tests.only} the name of one, does the bug load?`)
  return failed && { file: tests.file, ...failed }
}

const described = ({ bug, killer }: Found): string => {
  const cells = [bug.name, `\`${bug.file}\``, killer === undefined ? "**survives**" : seenBy(killer)]
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`
}

const seenBy = ({ file, law, test }: NonNullable<Found["killer"]>): string =>
  `\`${file}\`: ${test}${law === undefined ? "" : `; law "${law}"`}`

const page = (found: ReadonlyArray<Found>, seconds: number): string => {
  const alive = found.filter(({ killer }) => killer === undefined)
  const byLaw = found.filter(({ killer }) => killer?.law !== undefined).length
  return `# Law strength

Made by \`npm run strength\`; not edited by hand. Each known bug is seeded alone into a copy of the sources, and the tests
that ought to see it run until one fails. Without a bug all of them hold.

${found.length} bugs, ${found.length - alive.length} killed, ${byLaw} of them by a law; ${seconds} s.

Survivors: ${alive.length === 0 ? "none" : alive.map(({ bug }) => bug.name).join("; ")}.

| bug | file | killed by |
|---|---|---|
${found.map(described).join("\n")}
`
}

const start = performance.now()
try {
  control()
  const found: Array<Found> = []
  for (const bug of chosen) {
    found.push(seed(bug))
    console.log(`${found.length}/${chosen.length} ${described(found.at(-1)!)}`)
  }
  const killed = found.filter(({ killer }) => killer !== undefined).length
  const seconds = Math.round((performance.now() - start) / 1000)
  console.log(`${killed} of ${found.length} bugs are killed, in ${seconds} s`)
  if (process.argv[2] === undefined)
    writeFileSync(new URL("../../docs/law-strength.md", import.meta.url), page(found, seconds))
  if (killed < REQUIRED * found.length) process.exitCode = 1
} finally {
  copy.remove()
}
