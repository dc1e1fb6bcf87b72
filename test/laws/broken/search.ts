/**
 * Finds, for each law, a small change of the code that it speaks of under which it is broken, and writes mutants.json.
 *
 *     npm run broken -- [--missing] [--seconds <n>] [<pattern of subjects>]
 *
 * `--missing` leaves the laws alone that have an entry that applies. Of the changes tried within the seconds for each
 * subject (20 unless told) that is taken which the law refuses for its own reason, and under which most others hold.
 */
import { writeFileSync } from "node:fs"
import { availableParallelism, setPriority } from "node:os"
import { parseArgs } from "node:util"
import { type Asked, make } from "./ask.ts"
import { closureOf, importsOf } from "./graph.ts"
import { applied, type Change, changesOf } from "./mutate.ts"
import type { Subject } from "./subjects.ts"
import { applies, type Entry, entryOf, FOUND, found, handmade, idOf, pathOf, sourceAt } from "./table.ts"
import { bugs } from "./wrapped.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { missing: { type: "boolean", default: false }, seconds: { type: "string", default: "20" } }
})
const pattern = new RegExp(positionals[0] ?? "")
const patience = Number(values.seconds) * 1000
/** After every law has a change, so many more are tried for better ones. */
const MORE = 10
/** Inputs on which a change is tried before it is tried on all. */
const FEW = 4
/** Milliseconds after which a change counts as one that hangs. */
const HANGS = 10_000

/** Law makers, generators, and what laws and stages are made with. */
const LEFT_ALONE =
  /(\.laws|Laws|Samples|generated|index)\.ts$|\/laws\/|^dsl\/(Artifact|Check|Component|Contract|Json|Law|Node|Params|Pipeline|Stage|StageLaw)\.ts$/

/** What these do to files is not tried otherwise. */
const WRITES = /\b(rm|unlink|rename|writeFile|remove)(Sync)?\(/

interface Candidate {
  readonly url: string
  readonly change: Change
}

interface Best {
  readonly score: number
  readonly entry: Entry
}

const candidates = new Map<string, ReadonlyArray<Change>>()
const changesIn = (url: string) => {
  const known = candidates.get(url) ?? changesOf(sourceAt(url))
  candidates.set(url, known)
  return known
}

/** Changes of the nearer modules first, in each the likelier bugs first. */
const candidatesOf = function* ({ entries }: Subject): Generator<Candidate> {
  const files = closureOf(entries).filter((url) => !LEFT_ALONE.test(pathOf(url)) && !WRITES.test(sourceAt(url)))
  const near = new Set(entries.flatMap((entry) => [entry, ...importsOf(entry)]))
  const [own, direct, far] = [
    files.filter((url) => entries.includes(url)),
    files.filter((url) => near.has(url) && !entries.includes(url)),
    files.filter((url) => !near.has(url))
  ]
  for (const group of [own, direct, far]) {
    const lists = group.map((url) => changesIn(url).map((change) => ({ url, change })))
    const longest = Math.max(0, ...lists.map(({ length }) => length))
    for (let i = 0; i < longest; i++) for (const list of lists) if (list[i] !== undefined) yield list[i]!
  }
}

const search = async (subject: Subject, wanted: ReadonlyArray<string>, { ask, ready }: Asked) => {
  await ready()
  const best = new Map<string, Best>()
  const until = performance.now() + patience
  let more = MORE
  for (const { change, url } of candidatesOf(subject)) {
    const isFound = wanted.every((law) => best.has(law))
    if (performance.now() > until || (isFound && more-- <= 0)) break
    if (isFound && wanted.every((law) => best.get(law)!.score === 0)) break
    const source = sourceAt(url)
    const question = { subject, file: url, source: applied(source, change) }
    const first = await ask({ ...question, laws: subject.laws, runs: FEW }, HANGS)
    if (first?._tag !== "Verdicts") continue
    const broken = first.verdicts.filter(({ holds }) => !holds)
    const score = broken.length - 1
    const laws = broken
      .filter(
        ({ isOwn, law }) => isOwn && wanted.includes(law) && score < (best.get(law)?.score ?? Number.POSITIVE_INFINITY)
      )
      .map(({ law }) => law)
    if (laws.length === 0) continue
    const answer = await ask({ ...question, laws }, HANGS)
    if (answer?._tag !== "Verdicts") continue
    for (const { law } of answer.verdicts.filter(({ holds, isOwn }) => !holds && isOwn)) {
      const entry = entryOf(url, source, change)
      best.set(law, { score, entry: subject.by === undefined ? entry : { by: subject.by, ...entry } })
    }
  }
  return best
}

/** For each law the first bug around the stage that breaks it. */
const searchWrapped = async (subject: Subject, wanted: ReadonlyArray<string>, { ask }: Asked) => {
  const first = new Map<string, Entry>()
  for (const bug of Object.keys(bugs)) {
    const laws = wanted.filter((law) => !first.has(law))
    if (laws.length === 0) break
    const answer = await ask({ subject, laws, wrapped: bug }, HANGS)
    if (answer?._tag !== "Verdicts") continue
    for (const { law } of answer.verdicts.filter(({ holds, isOwn }) => !holds && isOwn))
      first.set(law, { wrapped: bug })
  }
  return first
}

setPriority(2)
const lister = make()
const listed = await lister.ask("subjects", 120_000)
lister.stop()
if (listed?._tag !== "Subjects") throw new Error(`the laws cannot be listed: ${JSON.stringify(listed)}`)
const { refused, subjects } = listed
for (const { reason, url } of refused) console.log(`left out, for it does not load: ${pathOf(url)}: ${reason}`)

const known = new Set(subjects.flatMap((subject) => subject.laws.map((law) => idOf(subject, law))))
const table: Record<string, Entry> = Object.fromEntries(
  Object.entries(found()).filter(([id, entry]) => (known.has(id) || refused.length > 0) && applies(entry))
)
const byHand = handmade()
const done = new Set(Object.keys(byHand))
if (values.missing) for (const id of Object.keys(table)) done.add(id)

const write = () => {
  const sorted = Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1))
  writeFileSync(FOUND, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`)
}

const asked = subjects.filter(({ by, of }) => pattern.test(of) || (by !== undefined && pattern.test(by)))
const queue = [...asked]
const total = queue.length
const work = async () => {
  const worker = make()
  for (let subject = queue.shift(); subject !== undefined; subject = queue.shift()) {
    const start = performance.now()
    const wanted = subject.laws.filter((law) => !done.has(idOf(subject, law)))
    if (wanted.length === 0) continue
    const best = await search(subject, wanted, worker)
    const without = wanted.filter((law) => !best.has(law))
    if (without.length > 0 && subject.of.startsWith("stage "))
      for (const [law, entry] of await searchWrapped(subject, without, worker)) best.set(law, { score: 0, entry })
    for (const [law, { entry }] of best) {
      table[idOf(subject, law)] = entry
      done.add(idOf(subject, law))
    }
    write()
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    console.log(
      `${total - queue.length}/${total} ${subject.by ?? ""} ${subject.of}: ${best.size}/${wanted.length}, ${seconds} s`
    )
    for (const law of wanted.filter((law) => !best.has(law))) console.log(`    none for: ${law}`)
  }
  worker.stop()
}
await Promise.all(Array.from({ length: Math.max(1, availableParallelism()) }, work))
write()

const wanted = new Set(asked.flatMap((subject) => subject.laws.map((law) => idOf(subject, law))))
const missing = [...wanted].filter((id) => table[id] === undefined && byHand[id] === undefined)
console.log(`${wanted.size} laws, ${wanted.size - missing.length} with a change that breaks them`)
for (const id of missing) console.log(`none for ${id}`)
