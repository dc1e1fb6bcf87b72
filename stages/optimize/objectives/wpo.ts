import { Positive, withDefault } from "../../../dsl/Params.ts"
import { add, exp } from "../algebra/Expression.ts"
import { logistic, weighted } from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { seesOnlyTheGap } from "../referenceLaws.ts"
import { gap, implicitReward, meanLogProb } from "../statistics.ts"

const objective = ({ beta }: { readonly beta: number }) => {
  const reward = implicitReward(beta)
  const likelihood = exp(add(meanLogProb("chosen"), meanLogProb("rejected")))
  return { reward, loss: weighted(likelihood)(logistic)(gap(reward)) }
}

/**
 * Weighted preference optimization: pairs count by how likely the policy would be to write both answers now, which makes
 * data of others resemble its own.
 * **Details** `loss = -w ln sigma(r_w - r_l)`, `r` the implicit reward, `w = e^(x_w + x_l)`, `x = ln policy(y) / |y|`, in
 * [0, 1]; no gradient flows through `w`.
 * **Gotchas** The plain form of the weight: TRL's `use_weighting` also divides each token's probability by what a sample's
 * would be, which takes the whole distribution at each token.
 * **Source** Zhou et al. 2024, arXiv 2406.11827.
 */
export const wpo = defineReferenced("wpo", {
  module: import.meta.url,
  description: "Weighted preference optimization: DPO weighted by the policy's likelihood of the pair",
  params: { beta: Positive.pipe(withDefault(0.1)) },
  make: objective,
  laws: [seesOnlyTheGap(objective({ beta: 0.3 }))]
})
