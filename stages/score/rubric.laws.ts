import { Arbitrary, Result, Schema } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as Law from "../../dsl/Law.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { grade, url } from "../../runtime/services/localRule.ts"
import { grades, rubric } from "./rubric.ts"

const endpoint = Arbitrary.schema(Schema.Literals(["completions", "chat"])).pipe(
  Arbitrary.map((api) => ({ url, model: "rule", api, retries: 0 }))
)
const Weight = Arbitrary.schema(Law.Real(0.1, 5))
const criteria = Arbitrary.array(Weight, { minLength: 1, maxLength: 3 }).pipe(
  Arbitrary.map((weights) => weights.map((weight, i) => ({ name: `c${i}`, description: `criterion ${i}`, weight })))
)
const Grade = Arbitrary.schema(Law.Real(0, 10))
const Graded = Arbitrary.all([
  criteria,
  Grade,
  Grade,
  Grade,
  Arbitrary.schema(Schema.Literals(["", "Here:\n", "{?} ", "```json\n"]))
])
const scoresOf = (made: any) => made.map(({ completions }: any) => completions.map(({ score }: any) => score))
const replyOf = (names: ReadonlyArray<{ readonly name: string }>, values: ReadonlyArray<unknown>) =>
  JSON.stringify(Object.fromEntries(names.map(({ name }, i) => [name, values[i]])))

export const contract = Contract.of(rubric, {
  params: {
    endpoint,
    criteria,
    template: Arbitrary.schema(
      Schema.Literal("{criteria}\n<prompt>\n{prompt}\n</prompt>\n<answer>\n{answer}\n</answer>")
    )
  },
  laws: [
    StageLaw.keeps("prompt and answers", ({ completions, prompt }) => ({
      prompt,
      completions: completions.map(({ score: _, ...own }: any) => own)
    })),
    StageLaw.numbers("scores lie between 0 and 10", (score) => score >= 0 && score <= 10, scoresOf),
    StageLaw.output("scores are the weighted means of the model's grades", (made, { params }) => {
      const total = params.criteria.reduce((sum: number, { weight }: any) => sum + weight, 0)
      const mean = (text: string) =>
        params.criteria.reduce((sum: number, { weight }: any, i: number) => sum + weight * grade(text, i), 0) / total
      return made.every(({ completions }: any) =>
        completions.every(({ score, text }: any) => Math.abs(score - mean(text)) < 1e-9)
      )
    }),
    StageLaw.recordByRecord,
    StageLaw.related(
      "weights count by their ratio",
      (call) =>
        StageLaw.withParams(call, {
          criteria: call.params.criteria.map((each: any) => ({ ...each, weight: 2 * each.weight }))
        }),
      (made, doubled) => StageLaw.near(scoresOf(made), scoresOf(doubled))
    ),
    Law.make("finds the grades wherever they stand in the reply", Graded, ([asked, a, b, c, before]) => {
      const reply = replyOf(asked, [a, b, c])
      return (
        Result.getOrElse(grades(asked)(`${before}${reply}\n`), () => -1) ===
        Result.getOrElse(grades(asked)(reply), () => -2)
      )
    }),
    Law.make("refuses a reply that lacks a grade, or has one that is none", Graded, ([asked, a]) =>
      [[], ["7"], [a + 10.5], [-a - 0.5], [null]].every((values) =>
        Result.isFailure(grades(asked)(replyOf(asked, values)))
      )
    )
  ]
})
