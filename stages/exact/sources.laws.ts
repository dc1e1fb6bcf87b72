/** How the stages that sample solved worlds, and compare objectives in them, are called when their laws are checked. */
import type { Pair } from "../../dsl/artifacts.ts"
import type * as Contract from "../../dsl/Contract.ts"
import * as Rng from "../../dsl/Rng.ts"
import { answer, called, contractOf } from "../laws/calls.ts"
import { brain } from "../optimize/objectives/brain.ts"
import { dpo } from "../optimize/objectives/dpo.ts"
import * as exact from "./index.ts"
import { sources as sourcesWorld } from "./worlds/sources.ts"

const groupOf = (id: number, first: number, second: number): Pair => ({
  id: `${id}`,
  prompt: { id: `c0/${id}`, text: "" },
  chosen: answer(first),
  rejected: answer(second),
  margin: 0.5,
  others: { answer0: { completion: answer(first) }, answer1: { completion: answer(second) } },
  numbers: { score0: 0.5, score1: 0 }
})
const groups = [groupOf(0, 0, 1), groupOf(1, 1, 0), groupOf(2, 1, 1)]
const featured = sourcesWorld({ prompts: 6 }).implementation(Rng.make(0, "sources"))

export const contracts: ReadonlyArray<Contract.Contract> = [
  contractOf(
    exact.answers,
    called(({ policy, world }) => ({
      params: policy.theta[0]! > 0 ? { groups: 4, perGroup: 2 } : { groups: 2, perGroup: 1, responses: [1, 0] },
      input: world,
      inputs: { policy }
    }))
  ),
  contractOf(
    exact.rejection,
    called(({ policy, world }) => ({
      params: { repeats: 3, candidates: 4, dedupe: policy.theta[0]! > 0 },
      input: world
    }))
  ),
  contractOf(
    exact.descent,
    called(({ policy, world }) => ({
      params: { objective: dpo(), batchSize: 2 },
      input: groups,
      inputs: { from: policy, reference: world.reference }
    }))
  ),
  contractOf(
    exact.gaussianGradient,
    called(({ policy }) => ({
      params: { objective: brain({ answers: 3, proposal: "guide" }), repetitions: 4, policyMean: policy.theta[0]! }
    }))
  ),
  contractOf(
    exact.groupWeights,
    called(({ other, policy, world }) => ({
      params: { objective: brain({ answers: 2, proposal: "guide", estimator: "gdc" }), against: dpo() },
      input: groups,
      inputs: { world, policy, guide: other }
    }))
  ),
  contractOf(
    exact.bestOf,
    called(({ policy, world }) => ({
      params: policy.theta[0]! > 0 ? { n: 2 } : { n: 3, groups: 4 },
      input: world,
      inputs: { policy }
    }))
  ),
  contractOf(
    exact.sweep,
    called(({ policy, world }) => ({
      params: { contexts: [0], transfer: policy.theta[0]! > 0 },
      input: world,
      inputs: { policy }
    }))
  ),
  contractOf(
    exact.separability,
    called(({ policy }) => ({
      params: { folds: policy.theta[0]! > 0 ? 2 : 3 },
      input: groups,
      inputs: { world: featured }
    }))
  )
]
