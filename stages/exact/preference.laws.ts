import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { called, responses } from "../laws/calls.ts"
import { few, intervals, means, sameMeans } from "../laws/laws.ts"
import { dpo } from "../optimize/objectives/dpo.ts"
import { simpo } from "../optimize/objectives/simpo.ts"
import { preference } from "./preference.ts"

/** `ln softmax(theta)[response]` of the first context. */
const logProb = ({ family, theta }: any, response: number): number => {
  const row: ReadonlyArray<number> = theta.slice(0, family.responses)
  return row[response]! - Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))
}
const average = (values: ReadonlyArray<number>) => values.reduce((sum, x) => sum + x, 0) / values.length

export const contract = Contract.of(preference, {
  given: called(({ other, policy, world }) => ({
    params: { objective: policy.theta[0]! > 0 ? simpo() : dpo() },
    input: (other.theta[0]! > 0 ? responses : responses.slice(0, 1)).map((pair) => ({
      ...pair,
      numbers: { goldChosen: world.rewards![0]![0]![0]!, goldRejected: world.rewards![0]![0]![1]! }
    })),
    inputs: { policy, ...(policy.theta[0]! > 0 ? {} : { reference: world.reference }) }
  })),
  laws: few(25, [
    intervals,
    StageLaw.output("gives the answers their log-probabilities", (made, { input, inputs: { policy } }) => {
      const of = (role: string) => average(input.map((pair: any) => logProb(policy, pair[role].tokens[0])))
      const { "logps/chosen": chosen, "logps/rejected": rejected } = means(made)
      return StageLaw.near([chosen, rejected], [of("chosen"), of("rejected")])
    }),
    StageLaw.related(
      "of turned pairs margins and log-probabilities are turned",
      (call) =>
        StageLaw.withInput(
          call,
          call.input.map((pair: any) => ({ ...pair, chosen: pair.rejected, rejected: pair.chosen }))
        ),
      (made, other) => {
        const [there, back] = [means(made), means(other)]
        return StageLaw.near(
          [there["rewards/margins"], there["rewards/abs_margins"], there["logps/chosen"]],
          [0 - back["rewards/margins"]!, back["rewards/abs_margins"], back["logps/rejected"]]
        )
      }
    ),
    StageLaw.related(
      "a policy that is its own reference has no margins, and a loss of ln 2",
      (call) => ({
        params: { objective: dpo() },
        input: call.input,
        inputs: { ...call.inputs, reference: call.inputs.policy }
      }),
      (_, self) => {
        const { loss, "rewards/accuracies": right, "rewards/margins": margin } = means(self)
        return StageLaw.near([loss, right, margin], [Math.LN2, 0, 0])
      }
    ),
    StageLaw.related(
      "of the gold rewards only their order counts",
      (call) =>
        StageLaw.withInput(
          call,
          call.input.map((pair: any) => ({
            ...pair,
            numbers: { goldChosen: 3 * pair.numbers.goldChosen + 1, goldRejected: 3 * pair.numbers.goldRejected + 1 }
          }))
        ),
      (made, other) => sameMeans(made, other, 0)
    )
  ])
})
