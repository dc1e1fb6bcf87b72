import { Arbitrary, Schema, Stream } from "effect"
import { Scored, type ScoredCompletion, type ScoredGroup } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { fileSource, pathField, records } from "./jsonl.ts"

const CRITERIA = ["grammaticality", "attribute", "topic"] as const
const Rating = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))

const Task = Schema.Struct({
  id: Schema.NonEmptyString,
  target: Schema.NonEmptyString,
  source: Schema.NonEmptyString,
  candidates: Schema.Array(
    Schema.Struct({ text: Schema.String, grammaticality: Rating, attribute: Rating, topic: Rating })
  )
})

type Criterion = (typeof CRITERIA)[number]

const groupOf = (
  { candidates, id, source, target }: typeof Task.Type,
  criteria: ReadonlyArray<Criterion>
): ScoredGroup => ({
  prompt: { id, text: `${source} => ${target}:` },
  completions: candidates.map(
    (rated): ScoredCompletion => ({
      text: ` ${rated.text}`,
      finish: "stop",
      score: criteria.reduce((sum, criterion) => sum + rated[criterion], 0)
    })
  )
})

const Tasks = Arbitrary.schema(Task)
const laws: ReadonlyArray<Law.Law> = [
  Law.make("scores with as many ratings as criteria", Tasks, (task) =>
    groupOf(task, CRITERIA).completions.every(({ score }) => Number.isInteger(score) && score >= 3 && score <= 15)
  ),
  Law.make("adds the criteria up", Tasks, (task) => {
    const [all, ...each] = [CRITERIA, ...CRITERIA.map((one) => [one])].map((criteria) => groupOf(task, criteria))
    return all!.completions.every(
      ({ score }, i) => score === each.reduce((sum, one) => sum + one.completions[i]!.score, 0)
    )
  }),
  Law.make("keeps every rewrite in order behind a space", Tasks, (task) => {
    const { completions, prompt } = groupOf(task, CRITERIA)
    return (
      prompt.text.startsWith(task.source) &&
      completions.length === task.candidates.length &&
      completions.every(({ text }, i) => text === ` ${task.candidates[i]!.text}`)
    )
  })
]

/**
 * Loads people's ratings of rewritten sentences from a file of JSON lines `{"id", "target", "source", "candidates":
 * [{"text", "grammaticality", "attribute", "topic"}, …]}`, ratings from 1 to 5.
 * **Details** The prompt is `<source> => <target>:`, each answer a space and the rewrite; its score is the sum of its
 * ratings of `criteria`, so pairs come from `pair`. Every candidate was rated by one person, and texts repeat:
 * `distinct` keeps the first of them.
 * **Source** The human evaluation of Li et al. 2018, arXiv 1804.06437 ("Delete, retrieve, generate"), CC BY-SA 4.0.
 */
export const ratings = Stage.make({
  name: "load.ratings",
  description: "People's ratings of rewritten sentences from a file of JSON lines",
  module: import.meta.url,
  params: {
    ...pathField,
    criteria: Schema.NonEmptyArray(Schema.Literals(CRITERIA)).pipe(withDefault([...CRITERIA])),
    limit: Schema.optionalKey(Count)
  },
  output: Scored,
  source: fileSource,
  laws,
  run: ({ params: { criteria, limit, path } }) =>
    records(path, Task, { excess: "error" }).pipe(
      Stream.map(([task]) => groupOf(task, criteria)),
      Stream.take(limit ?? Number.POSITIVE_INFINITY)
    )
})
