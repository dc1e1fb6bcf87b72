import { Schema } from "effect"
import * as Law from "../../../dsl/Law.ts"
import { withDefault } from "../../../dsl/Params.ts"
import { expectedReward } from "../../../runtime/exact/bandit.ts"
import * as Divergences from "../../../runtime/exact/divergences.ts"
import { maximum } from "../../../runtime/exact/numbers.ts"
import { collectiveReward, Solutions, type Solve } from "../Solutions.ts"
import { divergenceFields, Problem } from "./fOptimum.ts"

interface Options {
  readonly divergence: Divergences.DivergenceName
  readonly alpha: number
  readonly gain: number
}

/** By bisection on `ln beta`: the reward falls as beta rises. */
const solve =
  ({ alpha, divergence, gain }: Options): Solve =>
  (world, context, logReference) => {
    const of = Divergences.byName(divergence, alpha)
    const reward = collectiveReward(world, context, [1])
    const least = expectedReward(logReference, reward)
    const wanted = least + gain * (maximum(reward) - least)
    const at = (logBeta: number) => Divergences.optimum(of, logReference, reward, Math.exp(logBeta)).logPolicy
    let [low, high] = [Math.log(1e-6), Math.log(1e6)]
    for (let i = 0; i < 60; i++) {
      const middle = (low + high) / 2
      if (expectedReward(at(middle), reward) > wanted) low = middle
      else high = middle
    }
    return at((low + high) / 2)
  }

const laws: ReadonlyArray<Law.Law> = [
  Law.make("earns that share of what there is to gain", Problem, ({ logReference, options, reward, world }) => {
    const least = expectedReward(logReference, reward)
    return [0.2, 0.8].every((gain) => {
      const earned = expectedReward(solve({ ...options, gain })(world, 0, logReference), reward)
      return Math.abs(earned - least - gain * (maximum(reward) - least)) < 1e-6
    })
  }),
  Law.make("diverges no more than the reverse KL's policy of the same reward", Problem, (problem) => {
    const { logReference, options, world } = problem
    const [own, other] = [options.divergence, "reverse_kl" as const].map((divergence) =>
      solve({ ...options, divergence, gain: 0.5 })(world, 0, logReference)
    )
    const of = Divergences.byName(options.divergence, options.alpha)
    return Divergences.divergence(of, own!, logReference) <= Divergences.divergence(of, other!, logReference) + 1e-9
  }),
  Law.make("diverges the more the more it earns", Problem, ({ logReference, options, reward, world }) => {
    const of = Divergences.byName(options.divergence, options.alpha)
    const [low, high] = [0.3, 0.6].map((gain) =>
      Divergences.divergence(of, solve({ ...options, gain })(world, 0, logReference), logReference)
    )
    return low! < high! || maximum(reward) - expectedReward(logReference, reward) < 1e-6
  })
]

/**
 * The policy that earns a given reward at the least divergence from the reference: of what there is to gain over the
 * reference's expected reward the share `gain`, in (0, 1). So policies of different divergences can be compared.
 * **Source** Wang et al. 2023, arXiv 2309.16240, section 5: divergence efficiency.
 */
export const fMatched = Solutions.define("f-matched", {
  module: import.meta.url,
  description: "The optimum of an f-divergence that earns a given reward",
  params: {
    gain: Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThan(1)).pipe(withDefault(0.5)),
    ...divergenceFields
  },
  make: solve,
  laws
})
