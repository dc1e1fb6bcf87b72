import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { called } from "../laws/calls.ts"
import { few } from "../laws/laws.ts"
import { boltzmann } from "./solutions/boltzmann.ts"
import { klOptimum } from "./solutions/klOptimum.ts"
import { nash } from "./solutions/nash.ts"
import { solve } from "./solve.ts"

const rows = ({ family, theta }: any): ReadonlyArray<ReadonlyArray<number>> =>
  Array.from({ length: family.contexts }, (_, c) => theta.slice(c * family.responses, (c + 1) * family.responses))
const probabilities = (logits: ReadonlyArray<number>): ReadonlyArray<number> => {
  const weights = logits.map(Math.exp)
  const total = weights.reduce((sum, x) => sum + x, 0)
  return weights.map((x) => x / total)
}
const policy = (policy: any, change: (rows: ReadonlyArray<any>) => ReadonlyArray<any>) => ({
  ...policy,
  theta: change(rows(policy)).flat()
})
/** The call with the contexts of its world, and of `from`, changed. */
const changed = (call: any, change: (table: ReadonlyArray<any>) => ReadonlyArray<any>) => ({
  ...call,
  input: { reference: policy(call.input.reference, change), rewards: call.input.rewards.map(change) },
  inputs: call.inputs.from === undefined ? {} : { from: policy(call.inputs.from, change) }
})

export const contract = Contract.of(solve, {
  given: called(({ other, policy, world }) => ({
    params: { solution: policy.theta[0]! > 0 ? klOptimum({ beta: 0.7 }) : policy.theta[1]! > 0 ? nash() : boltzmann() },
    input: world,
    inputs: other.theta[0]! > 0 ? { from: policy } : {}
  })),
  laws: few(25, [
    StageLaw.output("makes a distribution over the responses of every context", (made, { input }) => {
      const sums = rows(made).map((row) => row.reduce((sum, x) => sum + Math.exp(x), 0))
      return StageLaw.near(
        [sums, made.family.responses],
        [input.rewards[0].map(() => 1), input.rewards[0][0].length],
        1e-6
      )
    }),
    StageLaw.related(
      "solves every context for itself",
      (call) => changed(call, (table) => table.toReversed()),
      (made, reversed) =>
        StageLaw.near(rows(made).map(probabilities).toReversed(), rows(reversed).map(probabilities), 1e-6)
    ),
    StageLaw.related(
      "rewards that are all higher by the same change nothing",
      (call) => ({
        ...call,
        input: {
          ...call.input,
          rewards: call.input.rewards.map((table: any) => table.map((row: any) => row.map((x: any) => x + 1.5)))
        }
      }),
      (made, shifted) => StageLaw.near(rows(made).map(probabilities), rows(shifted).map(probabilities), 1e-6)
    ),
    StageLaw.related(
      "the world's own reference is where it starts unless told",
      (call) => ({ ...call, inputs: { from: call.inputs.from ?? call.input.reference } }),
      (made, told) => StageLaw.near(made, told, 0)
    ),
    StageLaw.related(
      "the optimum of reward and KL is the reference times the exponential of the reward",
      (call) => StageLaw.withParams(call, { solution: klOptimum({ beta: 0.5 }) }),
      (_, made, { input, inputs }) => {
        const from = rows(inputs.from ?? input.reference)
        const wanted = from.map((row, c) => probabilities(row.map((x, y) => x + 2 * input.rewards[0][c][y])))
        return StageLaw.near(rows(made).map(probabilities), wanted)
      }
    )
  ])
})
