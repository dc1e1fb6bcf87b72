import { Arbitrary, Schema } from "effect"
import type { World } from "../../../dsl/exactArtifacts.ts"
import * as Law from "../../../dsl/Law.ts"
import { Positive, withDefault } from "../../../dsl/Params.ts"
import * as Divergences from "../../../runtime/exact/divergences.ts"
import { logSumExp, spread } from "../../../runtime/exact/numbers.ts"
import { collectiveReward, Solutions, type Solve } from "../Solutions.ts"

/** Which divergence holds a policy to its reference, as `fDpo` names them. */
export const divergenceFields = {
  divergence: Schema.Literals(["reverse_kl", "forward_kl", "jsd", "alpha"]).pipe(withDefault("reverse_kl")),
  alpha: Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThan(1)).pipe(withDefault(0.5))
}

interface Options {
  readonly divergence: Divergences.DivergenceName
  readonly alpha: number
  readonly beta: number
}

const solve =
  ({ alpha, beta, divergence }: Options): Solve =>
  (world, context, logReference) =>
    Divergences.optimum(
      Divergences.byName(divergence, alpha),
      logReference,
      collectiveReward(world, context, [1]),
      beta
    ).logPolicy

/** A bandit of one context, a divergence and a beta. */
export const Problem = Arbitrary.all([
  Arbitrary.array(Arbitrary.all([Arbitrary.schema(Law.Real(-2, 2)), Arbitrary.schema(Law.Real(-2, 2))]), {
    minLength: 2,
    maxLength: 6
  }),
  Arbitrary.schema(Schema.Literals(["reverse_kl", "forward_kl", "jsd", "alpha"])),
  Arbitrary.schema(Law.Real(0.2, 3))
]).pipe(
  Arbitrary.map(([rows, divergence, beta]) => {
    const logits = rows.map(([logit]) => logit)
    const total = logSumExp(logits)
    const reward = rows.map(([, r]) => r)
    return {
      options: { divergence, alpha: 0.5, beta },
      reward,
      logReference: Float64Array.from(logits, (logit) => logit - total),
      world: worldOf(reward)
    }
  })
)

const worldOf = (reward: ReadonlyArray<number>): World => ({
  reference: { family: { kind: "softmax", contexts: 1, responses: reward.length }, theta: reward.map(() => 0) },
  rewards: [[reward]]
})
const near = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).every((x, y) => Math.abs(x - b[y]!) <= 1e-7 * Math.max(1, Math.abs(x)))

const laws: ReadonlyArray<Law.Law> = [
  Law.make("sums to 1", Problem, ({ logReference, options, world }) => {
    return Math.abs(logSumExp(solve(options)(world, 0, logReference))) < 1e-9
  }),
  Law.make("beta f'(policy / reference) is the reward up to a constant", Problem, (problem) => {
    const { logReference, options, reward, world } = problem
    const { derivative } = Divergences.byName(options.divergence, options.alpha)
    const found = solve(options)(world, 0, logReference)
    const left = reward.map((r, y) => r - options.beta * derivative(Math.exp(found[y]! - logReference[y]!)))
    return spread(left) < 1e-6
  }),
  Law.make("a constant in the rewards changes nothing", Problem, ({ logReference, options, reward, world }) =>
    near(solve(options)(world, 0, logReference), solve(options)(worldOf(reward.map((r) => r + 3)), 0, logReference))
  )
]

/**
 * What maximizes `E r - beta D_f(policy || reference)` of the world's first reward.
 * **Source** Wang et al. 2023, arXiv 2309.16240, theorem 1.
 */
export const fOptimum = Solutions.define("f-optimum", {
  module: import.meta.url,
  description: "The optimum of reward less beta times an f-divergence",
  params: { beta: Positive.pipe(withDefault(0.1)), ...divergenceFields },
  make: solve,
  laws
})
