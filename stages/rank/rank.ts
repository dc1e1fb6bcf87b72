import { Arbitrary, Schema, Stream } from "effect"
import { type Ranking, Rankings, Scored, type ScoredCompletion, type ScoredGroup } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"

const ranking = ({ completions, prompt }: ScoredGroup): Ranking => ({
  prompt,
  ranked: completions.toSorted((a, b) => b.score - a.score)
})

/** Answers told apart by their texts; few different scores, so that many tie. */
const Answers = Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -4, maximum: 4 }))), {
  maxLength: 9
}).pipe(
  Arbitrary.map((scores) =>
    scores.map((score, i): ScoredCompletion => ({ text: `answer ${i}`, finish: "stop", score: score / 2 }))
  )
)

const order = (completions: ReadonlyArray<ScoredCompletion>) =>
  ranking({ prompt: { id: "p", text: "" }, completions }).ranked

const laws: ReadonlyArray<Law.Law> = [
  Law.make("ranks all answers, the better one first, ties in sampled order", Answers, (answers) => {
    const ranked = order(answers)
    const inOrder = ranked.every((answer, i) => {
      const next = ranked[i + 1]
      if (next === undefined) return true
      return (
        answer.score > next.score || (answer.score === next.score && answers.indexOf(answer) < answers.indexOf(next))
      )
    })
    return inOrder && new Set(ranked).size === answers.length && ranked.length === answers.length
  }),
  Law.make("does not depend on the order of answers without ties", Answers, (answers) => {
    const untied = answers.filter((answer, i) => answers.findIndex(({ score }) => score === answer.score) === i)
    return String(order(untied).map(({ text }) => text)) === String(order(untied.toReversed()).map(({ text }) => text))
  }),
  Law.make("ranks a ranking as it is", Answers, (answers) => {
    const once = order(answers)
    return order(once).every((answer, i) => answer === once[i])
  })
]

/** Sorts the answers to each prompt from best to worst, ties in sampled order. Prompts keep theirs. */
export const rank = Stage.make({
  name: "rank",
  description: "Answers from best to worst",
  module: import.meta.url,
  params: {},
  input: Scored,
  output: Rankings,
  laws,
  run: ({ input }) => Stream.map(input.stream, ranking)
})
