/** How the stages of solved worlds are called when their laws are checked. */
import type * as Contract from "../../dsl/Contract.ts"
import { called, contractOf, responses } from "../laws/calls.ts"
import { bradleyTerry } from "../optimize/objectives/bradleyTerry.ts"
import { dpo } from "../optimize/objectives/dpo.ts"
import { gpm } from "../optimize/objectives/gpm.ts"
import * as exact from "./index.ts"

export const contracts: ReadonlyArray<Contract.Contract> = [
  contractOf(
    exact.population,
    called(({ world }) => ({ params: { sampling: "reference", flip: 0.1 }, input: world }))
  ),
  contractOf(
    exact.comparisons,
    called(({ policy, world }) => ({ params: { count: 6 }, input: world, inputs: { policy } }))
  ),
  contractOf(
    exact.optimize,
    called(({ policy, world }) => ({
      params: { objective: dpo(), steps: 3 },
      input: responses,
      inputs: { from: policy, ...(policy.theta[0]! > 0 ? { reference: world.reference } : {}) }
    }))
  ),
  contractOf(
    exact.evaluate,
    called(({ other, policy, world }) => ({
      params: {},
      input: world,
      inputs: { policy, target: other }
    }))
  ),
  contractOf(
    exact.winRates,
    called(({ policy, world }) => ({
      params: policy.theta[0]! > 0 ? {} : { sampling: "uniform", payoff: "log-odds", rate: 2 },
      input: world,
      inputs: { policy }
    }))
  ),
  contractOf(
    exact.mixture,
    called(({ other, policy }) => ({ params: { share: 0.3 }, input: policy, inputs: { with: other } }))
  ),
  contractOf(
    exact.contest,
    called(({ other, policy, world }) => ({
      params: { eta: 2 },
      input: world,
      inputs: { policy, opponent: other }
    }))
  ),
  contractOf(
    exact.extrapolate,
    called(({ other, policy }) => ({
      params: { space: policy.theta[0]! > 0 ? "policies" : "parameters" },
      input: policy,
      inputs: { previous: other }
    }))
  ),
  contractOf(
    exact.model,
    called(({ policy }) => ({
      params: { objective: policy.theta[0]! > 0 ? bradleyTerry() : gpm(), steps: 3 },
      input: responses
    }))
  ),
  contractOf(
    exact.modelAccuracy,
    called(() => ({
      params: { objective: bradleyTerry() },
      input: responses.map((pair) => ({ ...pair, numbers: { preference: 0.7 } })),
      inputs: { model: { contexts: 1, responses: 2, outputs: 1, theta: [0.5, -0.5] } }
    }))
  ),
  contractOf(
    exact.adversarial,
    called(({ other, world }) => ({
      params: {},
      input: responses,
      inputs: { world, reference: other }
    }))
  ),
  contractOf(
    exact.withAnswer,
    called(({ policy }) => ({ params: { role: "gold" }, input: responses, inputs: { policy } }))
  ),
  contractOf(
    exact.embedding,
    called(({ world }) => ({ params: {}, input: world }))
  ),
  contractOf(
    exact.drafting,
    called(({ world }) => ({ params: {}, input: world }))
  ),
  contractOf(
    exact.draftViews,
    called(() => ({ params: { contexts: 1, responses: 2 }, input: responses }))
  ),
  contractOf(
    exact.draftGame,
    called(({ policy, world }) => ({ params: { random: 3 }, input: world, inputs: { policy } }))
  )
]
