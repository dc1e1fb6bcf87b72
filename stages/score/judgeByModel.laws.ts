import { Arbitrary, Result, Schema } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as Law from "../../dsl/Law.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { url } from "../../runtime/services/localRule.ts"
import { judge, verdict } from "./judgeByModel.ts"
import { fill } from "./template.ts"

/** The rule prefers longer answers. */
const endpoint = Arbitrary.schema(Schema.Literals(["completions", "chat"])).pipe(
  Arbitrary.map((api) => ({ url, model: "rule", api, retries: 0 }))
)
const Places = Arbitrary.all([
  Arbitrary.schema(Schema.Literals(["", "{second}", "{prompt}", "$1", "$&", "a {first} b"])),
  Arbitrary.schema(Schema.Literals(["{first}", "x", "{second}{second}"])),
  Arbitrary.schema(Schema.Literals(["{prompt}", "y"]))
])
const Said = Arbitrary.all([
  Arbitrary.schema(Schema.Literals(["", "Verdict: B?\n", "A is better than B.\n", "tie or not\n"])),
  Arbitrary.schema(Schema.Literals(["Verdict: ", "verdict: ", "**Verdict:** ", "VERDICT : [[", "Verdict: **"])),
  Arbitrary.schema(Schema.Literals(["A", "B", "tie", "Tie"])),
  Arbitrary.schema(Schema.Literals(["", ".", "**", "]]\n", " (clearly)"]))
])
const scores = ({ completions }: any): ReadonlyArray<number> => completions.map(({ score }: any) => score)
const wins = (own: string, other: string) => (own.length === other.length ? 0.5 : own.length > other.length ? 1 : 0)

export const contract = Contract.of(judge, {
  params: {
    endpoint,
    template: Arbitrary.schema(
      Schema.Literal(
        "<prompt>\n{prompt}\n</prompt>\n<answer-A>\n{first}\n</answer-A>\n<answer-B>\n{second}\n</answer-B>"
      )
    ),
    // Fewer tokens cut the verdict off.
    maxTokens: Arbitrary.Constant(64)
  },
  laws: [
    StageLaw.keeps("prompt and answers", ({ completions, prompt }) => ({
      prompt,
      completions: completions.map(({ score: _, ...own }: any) => own)
    })),
    StageLaw.output("gives the win rates of what the model prefers", (made) =>
      made.every((group: any) => {
        const texts: ReadonlyArray<string> = group.completions.map(({ text }: any) => text)
        const expected = texts.map((own) => texts.reduce((sum, other) => sum + wins(own, other), 0) / texts.length)
        return scores(group).every((score, i) => Math.abs(score - expected[i]!) < 1e-12)
      })
    ),
    StageLaw.output("win rates of a prompt average 1/2", (made) =>
      made.every((group: any) => {
        const own = scores(group)
        return own.length === 0 || Math.abs(own.reduce((sum, score) => sum + score, 0) / own.length - 0.5) < 1e-12
      })
    ),
    StageLaw.related(
      "does not see the order of the answers",
      (call) =>
        StageLaw.withInput(
          call,
          call.input.map((group: any) => ({ ...group, completions: group.completions.toReversed() }))
        ),
      (made, reversed) =>
        StageLaw.near(
          made.map(scores),
          reversed.map((group: any) => scores(group).toReversed())
        )
    ),
    StageLaw.recordByRecord,
    Law.make(
      "puts texts in their places word for word",
      Places,
      ([prompt, first, second]) =>
        fill("<{prompt}|{first}|{second}|{prompt}>", { prompt, first, second }) ===
        `<${prompt}|${first}|${second}|${prompt}>`
    ),
    Law.make("reads the last verdict of a reply, however it is set", Said, ([before, mark, said, after]) => {
      const expected = { a: 1, b: 0, tie: 0.5 }[said.toLowerCase()]
      return Result.getOrElse(verdict(`${before}${mark}${said}${after}`), () => undefined) === expected
    })
  ]
})
