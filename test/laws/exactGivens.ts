/** How the stages of solved worlds are called when their laws are checked. */
import { Arbitrary } from "effect"
import type { Pair } from "../../dsl/artifacts.ts"
import type { ExactPolicy, World } from "../../dsl/exactArtifacts.ts"
import type * as Stage from "../../dsl/Stage.ts"
import { Bandits } from "../../stages/exact/generated.ts"
import * as exact from "../../stages/exact/index.ts"
import { completionOf, promptOf } from "../../stages/exact/rows.ts"
import { bradleyTerry } from "../../stages/optimize/objectives/bradleyTerry.ts"
import { dpo } from "../../stages/optimize/objectives/dpo.ts"
import { gpm } from "../../stages/optimize/objectives/gpm.ts"
import { simpo } from "../../stages/optimize/objectives/simpo.ts"

type Given = Arbitrary.Arbitrary<Stage.Given>

const called = (call: (given: { world: World; policy: ExactPolicy; other: ExactPolicy }) => Stage.Given): Given =>
  Arbitrary.map(Bandits, call)

const answer = (response: number) => completionOf({ context: 0, tokens: [response], finish: "stop" })
/** The first two responses of the first context, and one pair that names no response of a world. */
const pairs: ReadonlyArray<Pair> = [
  { id: "a", prompt: promptOf(0), chosen: answer(0), rejected: answer(1), margin: 1 },
  { id: "b", prompt: promptOf(0), chosen: answer(1), rejected: answer(0), margin: 0, numbers: { weight: 0.5 } }
]

export const exactGivens: Readonly<Record<string, Given>> = {
  "exact.world": called(({ world }) => ({
    params: { world: world.rewards![0]!.length === 1 ? exact.bandit({ responses: 3 }) : exact.sequences() }
  })),
  "exact.start": called(({ world }) => ({ params: {}, input: world })),
  "exact.population": called(({ world }) => ({ params: { sampling: "reference", flip: 0.1 }, input: world })),
  "exact.comparisons": called(({ policy, world }) => ({ params: { count: 6 }, input: world, inputs: { policy } })),
  "exact.optimize": called(({ policy, world }) => ({
    params: { objective: dpo(), steps: 3 },
    input: pairs,
    inputs: { from: policy, ...(policy.theta[0]! > 0 ? { reference: world.reference } : {}) }
  })),
  "exact.solve": called(({ policy, world }) => ({
    params: { solution: policy.theta[0]! > 0 ? exact.klOptimum() : exact.nash() },
    input: world,
    inputs: { from: policy }
  })),
  "exact.evaluate": called(({ other, policy, world }) => ({
    params: {},
    input: world,
    inputs: { policy, target: other }
  })),
  "exact.preference": called(({ policy }) => ({ params: { objective: simpo() }, input: pairs, inputs: { policy } })),
  "exact.win-rates": called(({ policy, world }) => ({
    params: policy.theta[0]! > 0 ? {} : { sampling: "uniform", payoff: "log-odds", rate: 2 },
    input: world,
    inputs: { policy }
  })),
  "exact.mixture": called(({ other, policy }) => ({ params: { share: 0.3 }, input: policy, inputs: { with: other } })),
  "exact.contest": called(({ other, policy, world }) => ({
    params: { eta: 2 },
    input: world,
    inputs: { policy, opponent: other }
  })),
  "exact.extrapolate": called(({ other, policy }) => ({
    params: { space: policy.theta[0]! > 0 ? "policies" : "parameters" },
    input: policy,
    inputs: { previous: other }
  })),
  "exact.model": called(({ policy }) => ({
    params: { objective: policy.theta[0]! > 0 ? bradleyTerry() : gpm(), steps: 3 },
    input: pairs
  })),
  "exact.model-accuracy": called(() => ({
    params: { objective: bradleyTerry() },
    input: pairs.map((pair) => ({ ...pair, numbers: { preference: 0.7 } })),
    inputs: { model: { contexts: 1, responses: 2, outputs: 1, theta: [0.5, -0.5] } }
  })),
  "exact.adversarial": called(({ other, world }) => ({
    params: {},
    input: pairs,
    inputs: { world, reference: other }
  })),
  "exact.with-answer": called(({ policy }) => ({ params: { role: "gold" }, input: pairs, inputs: { policy } })),
  "exact.embedding": called(({ world }) => ({ params: {}, input: world })),
  "exact.drafting": called(({ world }) => ({ params: {}, input: world })),
  "exact.draft-views": called(() => ({ params: { contexts: 1, responses: 2 }, input: pairs })),
  "exact.draft-game": called(({ policy, world }) => ({ params: { random: 3 }, input: world, inputs: { policy } }))
}
