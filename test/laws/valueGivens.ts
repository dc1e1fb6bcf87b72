/** How stages of multi-objective, value-incentivized and compared objectives are called when their laws are checked. */
import { Arbitrary, Schema } from "effect"
import type { Pair } from "../../dsl/artifacts.ts"
import type { ExactPolicy, World } from "../../dsl/exactArtifacts.ts"
import type * as Stage from "../../dsl/Stage.ts"
import { Bandits } from "../../stages/exact/generated.ts"
import { completionOf, promptOf } from "../../stages/exact/rows.ts"
import { dpo } from "../../stages/optimize/objectives/dpo.ts"
import { ipo } from "../../stages/optimize/objectives/ipo.ts"
import { wordCount } from "../../stages/score/wordCount.ts"
import * as Tiny from "../stages/tinyPolicy.ts"

type Given = Arbitrary.Arbitrary<Stage.Given>

const called = (call: (given: { world: World; policy: ExactPolicy; other: ExactPolicy }) => Stage.Given): Given =>
  Arbitrary.map(Bandits, call)

const answer = (response: number) => completionOf({ context: 0, tokens: [response], finish: "stop" })
const pairs: ReadonlyArray<Pair> = [
  { id: "a", prompt: promptOf(0), chosen: answer(0), rejected: answer(1), margin: 1 },
  { id: "b", prompt: promptOf(0), chosen: answer(1), rejected: answer(0), margin: 0, numbers: { weight: 0.5 } }
]

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

export const valueGivens: Readonly<Record<string, Given>> = {
  "exact.slopes": called(({ policy, world }) => ({
    params: { objective: dpo(), against: ipo(), difference: 1e-4 },
    input: pairs,
    inputs: { policy, ...(policy.theta[0]! > 0 ? { reference: world.reference } : {}) }
  })),
  "exact.policy": called(({ policy }) => ({
    params: { family: policy.family, theta: policy.theta[0]! > 0 ? policy.theta : policy.theta.slice(1) }
  })),
  "exact.margins": called(({ policy, world }) => ({
    params: { weights: policy.theta[0]! > 0 ? [2] : [1, 1, 1, 1, 1] },
    input: pairs,
    inputs: { world }
  })),
  "exact.implicit-margins": called(({ policy, world }) => ({
    params: {},
    input: pairs,
    inputs: { policy, reference: world.reference }
  })),
  "exact.calibration": called(({ policy }) => ({
    params: {},
    input: pairs,
    inputs: policy.theta[0]! > 0 ? { policy } : {}
  })),
  "exact.value-incentive": called(({ other, policy, world }) => ({
    params: { alpha: 0.01, beta: 0.5 },
    input: pairs,
    inputs: { policy, reference: world.reference, calibration: other }
  })),
  "exact.optimism": called(({ policy, world }) => ({
    params: { alpha: policy.theta[0]! > 0 ? 0.3 : 0, rounds: 3, steps: 5, restartSteps: 3 },
    input: world
  })),
  "exact.edits": Arbitrary.map(chains, ({ world }) => ({ params: { count: 6 }, input: world })),
  "exact.duel": Arbitrary.map(chains, ({ policy, world }) => ({
    params: { perToken: true },
    input: world,
    inputs: { policy }
  })),
  "score.margins": Arbitrary.map(chains, () => ({ params: { reward: wordCount() }, input: Tiny.pairs })),
  "pair.mixed": Arbitrary.map(chains, () => ({
    params: { weight: 0.3 },
    input: Tiny.pairs.map((pair, i) => ({ ...pair, numbers: { marginChosen: 0, marginRejected: i - 1 } }))
  }))
}
