/** How stages of multi-objective, value-incentivized and compared objectives are called when their laws are checked. */
import { Arbitrary, Schema } from "effect"
import type * as Contract from "../../dsl/Contract.ts"
import type { ExactPolicy, World } from "../../dsl/exactArtifacts.ts"
import { called, contractOf, responses } from "../laws/calls.ts"
import { dpo } from "../optimize/objectives/dpo.ts"
import { ipo } from "../optimize/objectives/ipo.ts"
import * as exact from "./index.ts"

/** Chains over three symbols; the rewards of one world are too few. */
const chains = Arbitrary.schema(Schema.Literals([3, 1])).pipe(
  Arbitrary.map((rewarded) => ({
    world: {
      reference: { family: { kind: "markov", symbols: 3, horizon: 4, endless: false }, theta: Array(16).fill(0.1) },
      tokenRewards: [1, -1, 0].slice(0, rewarded)
    } as World,
    policy: {
      family: { kind: "markov", symbols: 3, horizon: 4, endless: false },
      theta: Array.from({ length: 16 }, (_, i) => (i % 5) / 5)
    } as ExactPolicy
  }))
)

export const contracts: ReadonlyArray<Contract.Contract> = [
  contractOf(
    exact.slopes,
    called(({ policy, world }) => ({
      params: { objective: dpo(), against: ipo(), difference: 1e-4 },
      input: responses,
      inputs: { policy, ...(policy.theta[0]! > 0 ? { reference: world.reference } : {}) }
    }))
  ),
  contractOf(
    exact.policy,
    called(({ policy }) => ({
      params: { family: policy.family, theta: policy.theta[0]! > 0 ? policy.theta : policy.theta.slice(1) }
    }))
  ),
  contractOf(
    exact.margins,
    called(({ policy, world }) => ({
      params: { weights: policy.theta[0]! > 0 ? [2] : [1, 1, 1, 1, 1] },
      input: responses,
      inputs: { world }
    }))
  ),
  contractOf(
    exact.implicitMargins,
    called(({ policy, world }) => ({
      params: {},
      input: responses,
      inputs: { policy, reference: world.reference }
    }))
  ),
  contractOf(
    exact.calibration,
    called(({ policy }) => ({
      params: {},
      input: responses,
      inputs: policy.theta[0]! > 0 ? { policy } : {}
    }))
  ),
  contractOf(
    exact.valueIncentive,
    called(({ other, policy, world }) => ({
      params: { alpha: 0.01, beta: 0.5 },
      input: responses,
      inputs: { policy, reference: world.reference, calibration: other }
    }))
  ),
  contractOf(
    exact.optimism,
    called(({ policy, world }) => ({
      params: { alpha: policy.theta[0]! > 0 ? 0.3 : 0, rounds: 3, steps: 5, restartSteps: 3 },
      input: world
    }))
  ),
  contractOf(
    exact.edits,
    Arbitrary.map(chains, ({ world }) => ({ params: { count: 6 }, input: world }))
  ),
  contractOf(
    exact.duel,
    Arbitrary.map(chains, ({ policy, world }) => ({
      params: { perToken: true },
      input: world,
      inputs: { policy }
    }))
  )
]
