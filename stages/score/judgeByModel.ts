import { Effect, Result, Schema, Stream } from "effect"
import { type CompletionGroup, Completions, Scored, type ScoredGroup } from "../../dsl/artifacts.ts"
import { withDefault } from "../../dsl/Params.ts"
import * as Progress from "../../dsl/Progress.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Endpoint from "../../runtime/services/Endpoint.ts"
import { askAll, askingFields, askingSource, type Question } from "./asking.ts"
import { fill, Template } from "./template.ts"

/** Prompts whose answers are judged together: bounds memory, changes no result. */
const PROMPTS_AT_ONCE = 16

const TEMPLATE = `Two assistants answered the same prompt. Decide which answer is better.

<prompt>
{prompt}
</prompt>
<answer-A>
{first}
</answer-A>
<answer-B>
{second}
</answer-B>

Judge the content, not the order or the length. Finish with one line: "Verdict: A", "Verdict: B" or "Verdict: tie".`
const REMINDER = 'Give only the last line now: "Verdict: A", "Verdict: B" or "Verdict: tie".'

/**
 * Scores every answer by its win rate against all answers to its prompt (itself included, at 1/2), as a model judges.
 * **Details** Every two answers are shown in both orders, and the two verdicts are averaged, so a judge that favours a
 * position favours nobody: it takes both for a whole win; a tie, and two verdicts that contradict each other, count 1/2 for
 * both. Equal answers are not asked about. A verdict is the last `Verdict: A`, `B` or `tie` of the reply, or the whole reply.
 * A reply without one is asked for again, `rereads` times; then the stage fails with `ReplyUnreadable`, or, with
 * `unreadable: "tie"`, that verdict counts as a tie. Progress tells how many replies could not be read.
 * **Source** Zheng et al. 2023, arXiv 2306.05685: position bias, and judging in both orders.
 */
export const judge = Stage.make({
  name: "score.judge",
  description: "Answers with their win rates as a model behind an endpoint judges",
  module: import.meta.url,
  params: {
    ...askingFields,
    /** With the places {prompt}, {first} and {second}. */
    template: Template("prompt", "first", "second").pipe(withDefault(TEMPLATE)),
    unreadable: Schema.Literals(["fail", "tie"]).pipe(withDefault("fail"))
  },
  input: Completions,
  output: Scored,
  resource: "network",
  source: askingSource,
  run: ({ input, params }) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const endpoint = yield* Endpoint.open(params.endpoint)
        let done = 0
        let unreadable = 0
        return input.stream.pipe(
          Stream.grouped(PROMPTS_AT_ONCE),
          Stream.mapEffect((groups) =>
            Effect.gen(function* () {
              const duels = groups.map((group) => duelsOf(group))
              const questions = groups.flatMap((group, g) =>
                duels[g]!.map((duel) => questionOf(group, duel, params.template))
              )
              const read = yield* askAll(endpoint, questions, params, REMINDER)
              const first = read.answers.find(Result.isFailure)
              if (first !== undefined && params.unreadable === "fail") return yield* first.failure
              const verdicts = read.answers.map((answer) => Result.getOrElse(answer, () => 0.5))
              done += groups.length
              unreadable += read.unreadable
              yield* Progress.report({ done, unit: "prompts", metrics: { unreadable } })
              const left = verdicts[Symbol.iterator]()
              return groups.map((group, g) => {
                const own = duels[g]!.map(() => left.next().value!)
                return winRates(group, duels[g]!, own)
              })
            })
          ),
          Stream.flattenIterable
        )
      })
    )
})

/** Two different answers of a group, by their places, in the order in which they are shown. */
type Duel = readonly [first: number, second: number]

const duelsOf = ({ completions }: CompletionGroup): ReadonlyArray<Duel> =>
  completions.flatMap((_, i) =>
    completions
      .map((_, j): Duel => [i, j])
      .filter(([first, second]) => completions[first]!.text !== completions[second]!.text)
  )

const questionOf = (
  { completions, prompt }: CompletionGroup,
  [first, second]: Duel,
  template: string
): Question<number> => ({
  about: prompt.id,
  text: fill(template, { prompt: prompt.text, first: completions[first]!.text, second: completions[second]!.text }),
  read: verdict
})

/** What the first answer wins: 1, 0, or 1/2 for a tie. */
export const verdict = (reply: string): Result.Result<number, string> => {
  const said =
    [...reply.matchAll(/verdict\s*:[\s*_`"'[(]*(A|B|tie)\b/gi)].at(-1)?.[1] ??
    /^[\s*[(]*(A|B|tie)[\s*\]).]*$/i.exec(reply)?.[1]
  if (said === undefined) return Result.fail("has no verdict")
  return Result.succeed(({ a: 1, b: 0, tie: 0.5 } as const)[said.toLowerCase() as "a" | "b" | "tie"])
}

const winRates = (
  { completions, prompt }: CompletionGroup,
  duels: ReadonlyArray<Duel>,
  verdicts: ReadonlyArray<number>
): ScoredGroup => {
  const count = completions.length
  // equal answers, and an answer and itself, are not asked about: half of a win each
  const wins = completions.map(({ text }) => completions.filter((other) => other.text === text).length / 2)
  for (const [d, [first, second]] of duels.entries()) {
    wins[first]! += verdicts[d]! / 2
    wins[second]! += (1 - verdicts[d]!) / 2
  }
  return { prompt, completions: completions.map((completion, i) => ({ ...completion, score: wins[i]! / count })) }
}
