/** How the stages are called that speak of sequences and likelihoods, when their laws are checked. */
import type { Pair } from "../../dsl/artifacts.ts"
import type * as Contract from "../../dsl/Contract.ts"
import type { ExactPolicy, World } from "../../dsl/exactArtifacts.ts"
import { contractOf, one } from "../laws/calls.ts"
import { bradleyTerry } from "../optimize/objectives/bradleyTerry.ts"
import { dpo } from "../optimize/objectives/dpo.ts"
import * as exact from "./index.ts"
import { completionOf, promptOf } from "./rows.ts"

const reference: ExactPolicy = { family: { kind: "unigram", symbols: 3, length: 2 }, theta: [0, 0.5, -0.5] }
const world: World = { reference, tokenRewards: [1, -1, 0] }
const policy: ExactPolicy = { family: reference.family, theta: [1, 0, 0] }
const bandit: ExactPolicy = { family: { kind: "softmax", contexts: 1, responses: 3 }, theta: [0, 0.5, -0.5] }

const pairOf = (chosen: ReadonlyArray<number>, rejected: ReadonlyArray<number>): Pair => ({
  id: `${chosen}/${rejected}`,
  prompt: promptOf(0),
  chosen: completionOf({ context: 0, tokens: chosen, finish: "stop" }),
  rejected: completionOf({ context: 0, tokens: rejected, finish: "stop" }),
  margin: 0
})
const pairs = [pairOf([0, 1], [1, 2]), pairOf([1], [0, 0]), pairOf([2], [0])]
const orders = [pairOf([0], [1]), pairOf([1], [0])]

export const contracts: ReadonlyArray<Contract.Contract> = [
  contractOf(
    exact.shifted,
    one(
      { params: { scale: -1 }, input: world, inputs: { policy } },
      { params: { scale: 2, permute: true }, input: world },
      { params: {}, input: { reference: bandit, rewards: [[[1, 0, 0]]] } }
    )
  ),
  contractOf(
    exact.dynamics,
    one(
      { params: { objective: dpo(), steps: 3 }, input: orders, inputs: { from: bandit, reference: bandit } },
      { params: { objective: dpo(), steps: 3 }, input: orders, inputs: { from: bandit } }
    )
  ),
  contractOf(
    exact.rewardModel,
    one(
      { params: { objective: bradleyTerry(), steps: 5 }, input: pairs, inputs: { world } },
      { params: { objective: dpo() }, input: pairs, inputs: { world } }
    )
  ),
  contractOf(
    exact.ranked,
    one(
      { params: {}, input: pairs, inputs: { world } },
      { params: { perToken: true, lengthWeight: 0.5 }, input: pairs, inputs: { world } }
    )
  )
]
