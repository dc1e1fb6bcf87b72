/** Every law can fail: it holds for the code as it is, and is broken by the change of it that `broken/` has for the law. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { make } from "./broken/ask.ts"
import type { Subject } from "./broken/subjects.ts"
import { applies, changed, type Entry, found, handmade, idOf, urlOf } from "./broken/table.ts"
import type { Question } from "./broken/worker.ts"

const SEARCH = "`npm run broken -- --missing` looks for one"
const PATIENCE = 60_000

const table: Readonly<Record<string, Entry>> = { ...found(), ...handmade() }

/** Laws of one subject that are tried on one state of the code. */
interface Trial {
  readonly question: Question
  readonly expected: "Holds" | "Broken"
}

interface Planned {
  readonly law: string
  readonly how: Pick<Question, "wrapped" | "file" | "source">
}

const trialsOf = (subject: Subject): ReadonlyArray<Trial> => {
  const { by, entries, of } = subject
  const own = subject.laws.flatMap((law): ReadonlyArray<Planned> => {
    const entry = table[idOf(subject, law)]
    if (entry === undefined || !applies(entry)) return []
    if ("wrapped" in entry) return by === undefined ? [{ law, how: { wrapped: entry.wrapped } }] : []
    return entry.by === by ? [{ law, how: { file: urlOf(entry.file), source: changed(entry)! } }] : []
  })
  if (own.length === 0) return []
  const asked = { subject: by === undefined ? { of, entries } : { of, by, entries } }
  const byChange = Map.groupBy(own, ({ how }) => JSON.stringify(how))
  return [
    { question: { ...asked, laws: own.map(({ law }) => law) }, expected: "Holds" },
    ...[...byChange.values()].map(
      (same): Trial => ({
        question: { ...asked, laws: same.map(({ law }) => law), ...same[0]!.how },
        expected: "Broken"
      })
    )
  ]
}

/** What is not as it should be: nothing, where all is well. */
const tried = async (queue: Array<Trial>): Promise<ReadonlyArray<string>> => {
  const worker = make()
  const wrong: Array<string> = []
  for (let trial = queue.shift(); trial !== undefined; trial = queue.shift()) {
    const { expected, question } = trial
    const where = question.wrapped ?? (question.file === undefined ? "as it is" : `with ${question.file} changed`)
    const answer = await worker.ask(question, PATIENCE)
    if (answer?._tag !== "Verdicts") {
      wrong.push(`${question.subject.of} ${where}: ${answer === undefined ? "no answer" : JSON.stringify(answer)}`)
      continue
    }
    for (const { holds, isOwn, law, reason } of answer.verdicts) {
      const isRight = expected === "Holds" ? holds : !holds && isOwn
      if (!isRight) wrong.push(`${idOf(question.subject, law)}, ${where}: ${holds ? "holds" : reason}`)
    }
  }
  worker.stop()
  return wrong
}

describe("every law", () => {
  let subjects: ReadonlyArray<Subject> = []
  beforeAll(async () => {
    const worker = make()
    const listed = await worker.ask("subjects", PATIENCE)
    worker.stop()
    if (listed?._tag !== "Subjects") throw new Error(`the laws cannot be listed: ${JSON.stringify(listed)}`)
    assert.deepStrictEqual(listed.refused, [])
    subjects = listed.subjects
  })

  it("has a change that is to break it, and no change is left of a law that is gone", () => {
    const laws = new Set(subjects.flatMap((subject) => subject.laws.map((law) => idOf(subject, law))))
    const without = [...laws].filter((id) => table[id] === undefined)
    assert.deepStrictEqual(without, [], `no change breaks ${without.length} laws: ${SEARCH}`)
    const gone = Object.keys(table).filter((id) => !laws.has(id))
    assert.deepStrictEqual(gone, [], `there are no such laws: ${SEARCH}, and drops those that it found`)
  })

  it("has a change that applies to the code as it is", () => {
    const stale = Object.entries(table).flatMap(([id, entry]) => (applies(entry) ? [] : [id]))
    assert.deepStrictEqual(stale, [], `the lines of these changes are not in their files, or twice: ${SEARCH}`)
  })

  it("holds, and is broken by its change for a reason of its own", { timeout: 300_000 }, async () => {
    const queue = subjects.flatMap(trialsOf)
    assert.isNotEmpty(queue)
    const wrong = (await Promise.all([tried(queue), tried(queue)])).flat()
    assert.deepStrictEqual(wrong, [])
  })
})
