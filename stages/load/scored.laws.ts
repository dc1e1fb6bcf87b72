import { Arbitrary, Schema } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as Law from "../../dsl/Law.ts"
import { toRated, toSteps } from "../../runtime/interchange/artifacts.ts"
import { call, one } from "../laws/calls.ts"
import * as Files from "../laws/files.ts"
import { scored } from "./scored.ts"

const Steps = Arbitrary.all([Schema.String, Schema.Boolean].map((schema) => Arbitrary.schema(schema)) as never).pipe(
  Arbitrary.map((step) => step as unknown as readonly [string, boolean])
)
const Explained = Arbitrary.all([Arbitrary.schema(Schema.String), Arbitrary.array(Steps, { maxLength: 5 })]).pipe(
  Arbitrary.map(([prompt, steps]) => ({
    type: "stepwise-supervision" as const,
    prompt,
    completions: steps.map(([text]) => text),
    labels: steps.map(([, label]) => label),
    rest: {}
  }))
)

export const contract = Contract.of(scored, {
  given: call({
    params: one(
      () => ({
        path: Files.lines("unpaired-trl.jsonl", [{ prompt: "a", completion: "b", label: true }]),
        format: "trl"
      }),
      () => ({
        path: Files.lines("steps.jsonl", [{ prompt: "a", completions: ["b", "c"], labels: [true, false] }]),
        format: "trl-steps"
      })
    ).pipe(Arbitrary.map((make) => make()))
  }),
  laws: [
    Law.make("makes one group of every step, its label as score", Explained, (example) => {
      const groups = toSteps([example, 1])
      return (
        groups.length === example.labels.length &&
        groups.every(
          ({ completions }, i) => completions.length === 1 && completions[0]!.score === Number(example.labels[i])
        )
      )
    }),
    Law.make("asks for a step with all that stands before it", Explained, (example) =>
      toSteps([example, 1]).every(
        ({ completions, prompt }, i) =>
          prompt.text + completions[0]!.text === example.prompt + example.completions.slice(0, i + 1).join("")
      )
    ),
    Law.make("scores good answers 1 and bad ones 0", Steps, ([text, label]) => {
      const { completion, prompt } = toRated([
        { type: "unpaired-preference", prompt: text, completion: text, label, rest: {} },
        1
      ])
      return completion.score === (label ? 1 : 0) && completion.text === text && prompt.text === text
    })
  ]
})
