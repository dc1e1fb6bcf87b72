import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, pairs, policy, tokenizer } from "../laws/calls.ts"
import { few } from "../laws/laws.ts"
import { logProbs } from "./logProbs.ts"

const turned = (record: any) => ({ ...record, chosen: record.rejected, rejected: record.chosen })

export const contract = Contract.of(logProbs, {
  given: call({ input: pairs, inputs: { policy } }),
  laws: few(4, [
    StageLaw.output("says of every pair, in order, a log-probability for each token", (made, { input }) => {
      const length = ({ finish, text }: any) => tokenizer.encode(text).length + (finish === "stop" ? 1 : 0)
      return StageLaw.near(
        made.map(({ chosen, pair, rejected }: any) => [pair, chosen.length, rejected.length]),
        input.map(({ chosen, id, rejected }: any) => [id, length(chosen), length(rejected)]),
        0
      )
    }),
    StageLaw.numbers("makes log-probabilities: none above 0", (x) => x <= 0),
    StageLaw.recordByRecord,
    StageLaw.related(
      "of turned pairs the log-probabilities are turned",
      (call) => StageLaw.withInput(call, call.input.map(turned)),
      (made, other) => StageLaw.near(made.map(turned), other, 1e-5)
    ),
    StageLaw.related(
      "an answer cut off lacks the end of the sequence, and nothing else",
      (call) =>
        StageLaw.withInput(
          call,
          call.input.map((pair: any) => ({ ...pair, chosen: { ...pair.chosen, finish: "length" } }))
        ),
      (made, cut) =>
        StageLaw.near(
          made.map(({ chosen, ...rest }: any) => ({ ...rest, chosen: chosen.slice(0, -1) })),
          cut,
          1e-5
        )
    ),
    StageLaw.related(
      "a token's log-probability does not see what comes after it",
      (call) =>
        StageLaw.withInput(
          call,
          call.input.map((pair: any) => ({
            ...pair,
            rejected: { ...pair.rejected, text: `${pair.rejected.text}!`, finish: "length" }
          }))
        ),
      (made, longer) => {
        const first = (records: any) => records.map(({ rejected }: any) => rejected[0])
        return StageLaw.near(first(made), first(longer), 1e-5)
      }
    )
  ])
})
