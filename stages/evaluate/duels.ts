import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type CompletionGroup, Completions, type Evaluation, EvaluationReport } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { type Duel, Judge } from "../score/Judge.ts"
import { average, estimate } from "./estimates.ts"
import { NothingToEvaluate } from "./evaluate.ts"

/** The answers of both sides are not to the same prompts. */
export class SidesDiffer extends Schema.TaggedError<SidesDiffer>()("SidesDiffer", {
  prompt: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `evaluate.duels, prompt ${JSON.stringify(this.prompt)}: ${this.problem}`
  }
}

type Meet = "all" | "paired"
type Groups = ReadonlyArray<CompletionGroup>

const duelsOf = (ours: CompletionGroup, theirs: CompletionGroup | undefined, meet: Meet) => {
  const prompt = ours.prompt.text
  const invalid = (problem: string) => Effect.fail(new SidesDiffer({ prompt: ours.prompt.id, problem }))
  if (theirs?.prompt.id !== ours.prompt.id || theirs.prompt.text !== prompt)
    return invalid("is not the other side's at the same place")
  const [a, b] = [ours, theirs].map(({ completions }) => completions.map(({ text }) => text)) as [string[], string[]]
  if (a.length === 0 || b.length === 0) return invalid("has no answers on one side")
  if (meet === "paired" && a.length !== b.length) return invalid(`has ${a.length} and ${b.length} answers`)
  const met = a.flatMap((first, i) =>
    (meet === "paired" ? [b[i]!] : b).map((second): Duel => ({ prompt, first, second }))
  )
  return Effect.succeed(met)
}

const compare = Effect.fnUntraced(function* (ours: Groups, theirs: Groups, { prefers }: Judge, meet: Meet) {
  if (ours.length !== theirs.length) {
    const problem = `${ours.length} prompts on this side, ${theirs.length} on the other`
    return yield* new SidesDiffer({ prompt: "", problem })
  }
  const rates = yield* Effect.forEach(ours, (group, p) =>
    Effect.flatMap(duelsOf(group, theirs[p], meet), (duels) => Effect.map(prefers(duels), average))
  )
  if (rates.length === 0) return yield* new NothingToEvaluate({ what: "prompts" })
  const report: Evaluation = { estimates: { win_rate: estimate(rates) }, examples: [] }
  return report
})

const Numbers = Arbitrary.array(
  Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))), {
    minLength: 2,
    maxLength: 4
  }),
  { minLength: 1, maxLength: 4 }
)
const sides = (numbers: ReadonlyArray<ReadonlyArray<number>>, shift: number) =>
  numbers.map(
    (answers, p): CompletionGroup => ({
      prompt: { id: `p${p}`, text: "" },
      completions: answers.map((n) => ({ text: `${n + shift}`, finish: "stop" }))
    })
  )
/** Prefers the larger number. */
const larger: Judge = {
  prefers: (duels) =>
    Effect.succeed(duels.map(({ first, second }) => 0.5 + Math.sign(Number(first) - Number(second)) / 2))
}
const rate = (ours: Groups, theirs: Groups, meet: Meet) =>
  Effect.map(compare(ours, theirs, larger, meet), ({ estimates }) => estimates["win_rate"]!.mean)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("a side against itself wins half of its duels", Numbers, (numbers) =>
    Effect.map(
      Effect.all([
        rate(sides(numbers, 0), sides(numbers, 0), "all"),
        rate(sides(numbers, 0), sides(numbers, 0), "paired")
      ]),
      (rates) => rates.every((own) => Math.abs(own - 0.5) < 1e-12)
    )
  ),
  Law.make("what one side wins the other loses", Numbers, (numbers) => {
    const [ours, theirs] = [
      sides(numbers, 0),
      sides(
        numbers.map((own) => own.toReversed()),
        1
      )
    ]
    return Effect.map(
      Effect.all([rate(ours, theirs, "all"), rate(theirs, ours, "all")]),
      ([forth, back]) => Math.abs(forth + back - 1) < 1e-12
    )
  }),
  Law.make("paired duels are those of equal places", Numbers, (numbers) =>
    Effect.map(rate(sides(numbers, 1), sides(numbers, 0), "paired"), (own) => own === 1)
  ),
  Law.make("fails where the prompts are not the same", Numbers, (numbers) =>
    Effect.map(
      Effect.flip(compare(sides(numbers, 0), sides(numbers, 0).slice(1), larger, "all")),
      (error) => error instanceof SidesDiffer
    )
  )
]

/**
 * How often answers are preferred to those `against` them by a judge: `win_rate`, the mean over prompts with its 95 % interval,
 * which respects that the answers to one prompt belong together.
 * **Details** `meet: "all"` compares every two answers to a prompt, `"paired"` those at the same place (a revision and its
 * draft). Both sides have the same prompts in the same order, else it fails with `SidesDiffer`.
 */
export const duels = Stage.make({
  name: "evaluate.duels",
  description: "Win rate of answers against others by a judge",
  module: import.meta.url,
  params: { judge: Judge.schema, meet: Schema.Literals(["all", "paired"]).pipe(withDefault("all")) },
  input: Completions,
  inputs: { against: Completions },
  output: EvaluationReport,
  laws,
  run: ({ input, inputs, params: { judge, meet } }) =>
    Effect.gen(function* () {
      const [ours, theirs] = yield* Effect.all([
        Stream.runCollect(input.stream),
        Stream.runCollect(inputs.against.stream)
      ])
      return yield* compare(ours, theirs, judge.implementation, meet)
    })
})
