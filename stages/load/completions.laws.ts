import { Arbitrary } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, one } from "../laws/calls.ts"
import * as Files from "../laws/files.ts"
import { asWritten, few, lineByLine, rowsOf } from "../laws/laws.ts"
import * as Tiny from "../laws/tiny.ts"
import { completions } from "./completions.ts"

const groups = Tiny.prompts.map((prompt, i) => ({
  prompt,
  completions: ["a", "b"].slice(0, i).map((text) => ({ text, finish: "stop" }))
}))
const answers = [
  { prompt: "a", completion: "b" },
  { prompt: "a", completion: "c" },
  { prompt: "d", completion: "" },
  { prompt: "a", completion: "e" }
]

export const contract = Contract.of(completions, {
  given: call({
    params: one(
      () => ({ path: Files.lines("groups.jsonl", groups) }),
      () => ({ path: Files.lines("answers-trl.jsonl", answers), format: "trl" })
    ).pipe(Arbitrary.map((make) => make()))
  }),
  laws: few(10, [
    asWritten,
    ...lineByLine,
    StageLaw.output("keeps every answer of TRL's records with its prompt, in order", (made, { params }) => {
      if (params.format !== "trl") return true
      const answers = made.flatMap(({ completions, prompt }: any) =>
        completions.map(({ text }: any) => ({ prompt: prompt.text, completion: text }))
      )
      return StageLaw.near(answers, rowsOf(params.path).slice(0, answers.length), 0)
    }),
    StageLaw.output("makes one group of neighbours with the same prompt", (made, { params }) => {
      if (params.format !== "trl") return true
      return made.every(({ prompt }: any, i: number) => i === 0 || made[i - 1].prompt.text !== prompt.text)
    })
  ])
})
