/**
 * Contextual bandits with enumerable responses, in which preference optimization can be solved: what a method's training
 * ends in is compared with the closed form, and rewards, KL and win rates are computed and not sampled.
 */

import type * as Component from "../../dsl/Component.ts"
import type { ExactPolicyValue, WorldValue } from "../../dsl/exactArtifacts.ts"
import type * as Node from "../../dsl/Node.ts"
import { exact, type Objective } from "../../stages/index.ts"

type AnyObjective = Component.Component<"objective", Objective>
type World<E, R> = Node.Node<typeof WorldValue, E, R>

/** The world that methods share unless they need another: 4 contexts, 8 responses, normal rewards, a Dirichlet reference. */
export const world = () => exact.world({ world: exact.bandit() })

/** The policy that minimizes an objective's expectation over all pairs of responses: no sampling, to rounding. */
export const populationOptimum = <E, R>(
  world: World<E, R>,
  options: {
    readonly objective: AnyObjective
    readonly sampling?: "uniform" | "reference" | ReadonlyArray<number>
    readonly form?: "labelled" | "soft"
    readonly flip?: number
    readonly steps?: number
    readonly as?: string
  }
) => {
  const { as, flip = 0, form = "labelled", objective, sampling = "uniform", steps = 2000 } = options
  const reference = world.pipe(exact.start())
  const { reads } = objective.implementation
  return world.pipe(
    exact.population({ sampling, form, flip }),
    exact.optimize({
      from: reference,
      objective,
      steps,
      ...(reads.reference ? { reference } : {}),
      ...(as ? { as } : {})
    })
  )
}

/** What a policy is worth in a world, beside a target that it ought to be. */
export const judged = <E, R, EP, RP, ET = never, RT = never>(
  world: World<E, R>,
  policy: Node.Node<typeof ExactPolicyValue, EP, RP>,
  options: {
    readonly target?: Node.Node<typeof ExactPolicyValue, ET, RT>
    readonly beta?: number
    readonly as?: string
  } = {}
) => {
  const { as, beta = 0, target } = options
  return world.pipe(exact.evaluate({ policy, target, beta, ...(as === undefined ? {} : { as }) }))
}
