import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { called } from "../laws/calls.ts"
import { few } from "../laws/laws.ts"
import { start } from "./start.ts"

export const contract = Contract.of(start, {
  given: called(({ policy, world }) => ({ params: {}, input: { ...world, reference: policy } })),
  laws: few(25, [
    StageLaw.output("is the world's reference", (made, { input }) => StageLaw.near(made, input.reference, 0)),
    StageLaw.related(
      "does not see what answers are worth",
      (call) => {
        const [table] = call.input.rewards
        return { ...call, input: { ...call.input, rewards: [table.map((row: any) => row.map((x: any) => 2 - x))] } }
      },
      (made, other) => StageLaw.near(made, other, 0)
    ),
    StageLaw.related(
      "follows the reference, and nothing else in the world",
      (call) => {
        const { family, theta } = call.input.reference
        return { ...call, input: { ...call.input, reference: { family, theta: theta.map((x: any) => x + 1) } } }
      },
      (made, other) =>
        StageLaw.near(
          made.theta.map((x: any) => x + 1),
          other.theta
        )
    )
  ])
})
