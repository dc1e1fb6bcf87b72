import { Arbitrary } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { count, one } from "../laws/calls.ts"
import { few } from "../laws/laws.ts"
import { world } from "./world.ts"
import { bandit } from "./worlds/bandit.ts"
import { sequences } from "./worlds/sequences.ts"

const sizes = Arbitrary.all({ contexts: count(1, 3), responses: count(2, 4), objectives: count(1, 2) })
const drawn = Arbitrary.map(sizes, (params) => ({ params: { world: bandit(params) } }))
const both = Arbitrary.all([drawn, one(true, false), one(0.5, 1)]).pipe(
  Arbitrary.map(([of, isBandit, deviation]) => (isBandit ? of : { params: { world: sequences({ deviation }) } }))
)
/** The same bandit with other parameters. */
const other = (call: any, params: object) => ({
  params: { world: bandit({ ...call.params.world.decodedParams, ...params }) }
})

export const contract = Contract.of(world, {
  given: both,
  laws: few(25, [
    StageLaw.output(
      "has a logit and a reward for every response of every context",
      (made, { params }) => {
        const { contexts, objectives, responses } = params.world.decodedParams
        const sizes = made.rewards.map((table: any) => [table.length, ...table.map((row: any) => row.length)])
        const table = [contexts, ...Array.from({ length: contexts }, () => responses)]
        return StageLaw.near(
          [made.reference.theta.length, sizes],
          [contexts * responses, Array.from({ length: objectives }, () => table)],
          0
        )
      },
      { given: drawn }
    ),
    StageLaw.related(
      "the rewards' deviation is their unit",
      (call) => other(call, { rewardDeviation: 2 }),
      (made, wider) => {
        const doubled = made.rewards.map((table: any) => table.map((row: any) => row.map((x: any) => 2 * x)))
        return StageLaw.near({ ...made, rewards: doubled }, wider)
      },
      { given: drawn }
    ),
    StageLaw.related(
      "another reward leaves the first ones as they are",
      (call) => other(call, { objectives: call.params.world.decodedParams.objectives + 1 }),
      (made, more) => StageLaw.near({ ...more, rewards: more.rewards.slice(0, -1) }, made, 0),
      { given: drawn }
    ),
    StageLaw.related(
      "without concentration the reference is uniform, the rewards are the same",
      (call) => other(call, { concentration: 0 }),
      (made, flat) => {
        const uniform = made.reference.theta.map(() => 0)
        return StageLaw.near({ ...made, reference: { ...made.reference, theta: uniform } }, flat, 0)
      },
      { given: drawn }
    ),
    StageLaw.related(
      "sequences without deviation are uniform, and worth the same",
      (call) =>
        call.params.world.name === "sequences" ? { params: { world: sequences({ deviation: 0 }) } } : undefined,
      (made, flat) => {
        const uniform = made.reference.theta.map(() => 0)
        return StageLaw.near({ ...made, reference: { ...made.reference, theta: uniform } }, flat, 0)
      }
    )
  ])
})
