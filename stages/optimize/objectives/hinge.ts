import { Positive, withDefault } from "../../../dsl/Params.ts"
import * as links from "../links.ts"
import { defineReferenced } from "../Objective.ts"
import { atReference, seesOnlyLogRatios, seesOnlyTheGap } from "../referenceLaws.ts"
import { gap, scaled, sumLogRatio } from "../statistics.ts"

const objective = ({ beta }: { readonly beta: number }) => {
  const reward = scaled(beta, sumLogRatio)
  return { reward, loss: links.hinge(gap(reward)) }
}

/**
 * The hinge loss of the gap of implicit rewards `r = beta ln (policy / reference)`: a pair that leads by 1 pushes no more.
 * **Details** `loss = max(0, 1 - (r_w - r_l))`; 1 where policy and reference agree. `beta > 0` in 1/nat.
 * **Source** RSO's hinge-norm (Liu et al. 2023, arXiv 2309.06657), after SLiC (arXiv 2305.10425), which does
 * without the reference; TRL's `loss_type="hinge"`.
 */
export const hinge = defineReferenced("hinge", {
  module: import.meta.url,
  description: "Hinge loss of the implicit rewards' gap",
  params: { beta: Positive.pipe(withDefault(0.1)) },
  make: objective,
  laws: [
    atReference("costs 1", objective({ beta: 0.3 }), 1),
    seesOnlyLogRatios(objective({ beta: 0.3 })),
    seesOnlyTheGap(objective({ beta: 0.3 }))
  ]
})
