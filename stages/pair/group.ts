import { Arbitrary, Effect, Result, Schema } from "effect"
import { type Pair, Pairs, Scored, type ScoredGroup } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { eachGroup } from "./eachGroup.ts"
import { Groups } from "./generated.ts"
import { ranked } from "./PairRule.ts"
import { unscored } from "./unscored.ts"

/** A prompt has fewer answers than a group needs. */
export class GroupTooSmall extends Schema.TaggedError<GroupTooSmall>()("GroupTooSmall", {
  prompt: Schema.String,
  answers: Schema.Int,
  wanted: Schema.Int
}) {
  override get message() {
    return `prompt ${JSON.stringify(this.prompt)} has ${this.answers} answers of the ${this.wanted} that a group takes; sample more, or set fewer: "drop"`
  }
}

const groupOf = ({ completions, prompt }: ScoredGroup, wanted: number): Result.Result<Pair, GroupTooSmall> => {
  if (completions.length < wanted)
    return Result.fail(new GroupTooSmall({ prompt: prompt.id, answers: completions.length, wanted }))
  const taken = completions.slice(0, wanted)
  const order = ranked(taken)
  const [best, worst] = [order[0]!, order.at(-1)!]
  const [chosen, rejected] = [taken[best]!, taken[worst]!]
  return Result.succeed({
    id: `${prompt.id}/${best}-${worst}`,
    prompt,
    chosen: unscored(chosen),
    rejected: unscored(rejected),
    margin: chosen.score - rejected.score,
    others: Object.fromEntries(taken.map((own, i) => [`answer${i}`, { completion: unscored(own) }])),
    numbers: Object.fromEntries(taken.map(({ score }, i) => [`score${i}`, score]))
  })
}

const Wanted = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 5 })))
const Given = Arbitrary.all([Groups(), Wanted])

const laws: ReadonlyArray<Law.Law> = [
  Law.make("holds the first answers in order with their scores", Given, ([groups, wanted]) =>
    groups.every((group) => {
      const made = groupOf(group, wanted)
      if (Result.isFailure(made)) return group.completions.length < wanted
      const { numbers, others } = made.success
      return (
        Object.keys(others!).length === wanted &&
        Object.keys(numbers!).length === wanted &&
        group.completions.slice(0, wanted).every(({ score, text }, i) => {
          const { completion } = others![`answer${i}`]!
          return completion.text === text && !("score" in completion) && numbers![`score${i}`] === score
        })
      )
    })
  ),
  Law.make("prefers a best answer to a worst one, never an answer to itself", Given, ([groups, wanted]) =>
    groups.every((group) => {
      const made = groupOf(group, wanted)
      if (Result.isFailure(made)) return true
      const { chosen, margin, rejected } = made.success
      const scores = group.completions.slice(0, wanted).map(({ score }) => score)
      return chosen.text !== rejected.text && margin === Math.max(...scores) - Math.min(...scores)
    })
  ),
  Law.make("does not see the answers beyond those it takes", Given, ([groups, wanted]) =>
    groups.every((group) => {
      const cut = groupOf({ ...group, completions: group.completions.slice(0, wanted) }, wanted)
      const made = groupOf(group, wanted)
      return (
        Result.isFailure(made) ||
        (Result.isSuccess(cut) && JSON.stringify(cut.success) === JSON.stringify(made.success))
      )
    })
  )
]

/**
 * The first `answers` scored answers to each prompt as one item, for losses over whole groups.
 * **Details** `others.answer0`, `others.answer1`, … are the answers in sampled order and `numbers.score0`, … their
 * scores. Chosen is the first of the best, rejected the last of the worst, so they are two answers even where all tie
 * (with margin 0). Fails with `GroupTooSmall` for a prompt with fewer answers, or leaves it out with `fewer: "drop"`,
 * and with `NoPairs` if not one item comes out.
 */
export const group = Stage.make({
  name: "pair.group",
  description: "All answers to a prompt as one item",
  module: import.meta.url,
  params: {
    answers: Schema.Int.check(Schema.isGreaterThanOrEqualTo(2)),
    fewer: Schema.Literals(["fail", "drop"]).pipe(withDefault("fail"))
  },
  input: Scored,
  output: Pairs,
  laws,
  run: ({ input, params }) =>
    eachGroup(input, "group", (scored) => {
      const made = groupOf(scored, params.answers)
      if (Result.isSuccess(made)) return Effect.succeed([made.success])
      return params.fewer === "drop" ? Effect.succeed([]) : Effect.fail(made.failure)
    })
})
