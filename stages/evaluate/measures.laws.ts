/** How the stages that measure are called when their laws are checked. */
import { Arbitrary } from "effect"
import type * as Contract from "../../dsl/Contract.ts"
import { answered, call, contractOf, one, pairs, policy } from "../laws/calls.ts"
import { afinn } from "../score/afinn.ts"
import { byReward } from "../score/byReward.ts"
import { degree } from "./degree.ts"
import { duels } from "./duels.ts"
import { likelihood } from "./likelihood.ts"
import { likelihoodChange } from "./likelihoodChange.ts"

const before = [{ pair: "a", chosen: [-1, -2], rejected: [-3] }]
const after = [{ pair: "a", chosen: [-0.5, -2], rejected: [-4] }]

export const contracts: ReadonlyArray<Contract.Contract> = [
  contractOf(likelihood, call({ params: one({ role: "chosen" }, { role: "gold" }), input: pairs, inputs: { policy } })),
  contractOf(
    likelihoodChange,
    one({ params: {}, input: after, inputs: { before } }, { params: {}, input: after, inputs: { before: [] } })
  ),
  contractOf(
    degree,
    call({
      params: one({ levels: 1 }),
      input: pairs.pipe(
        Arbitrary.map((all) =>
          all.map((pair, i) => ({
            ...pair,
            others: { degradedChosen: { completion: pair.chosen }, degradedRejected: { completion: pair.rejected } },
            numbers: { degreeChosen: i % 2, degreeRejected: 0 }
          }))
        )
      ),
      inputs: { policy }
    })
  ),
  contractOf(
    duels,
    call({
      params: one({ judge: byReward({ reward: afinn() }) }, { judge: byReward({ reward: afinn() }), meet: "paired" }),
      input: one(answered),
      inputs: { against: answered }
    })
  )
]
