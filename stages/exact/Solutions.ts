/** The kind of component that solves a world: the policy that a method ought to find, in closed form or to rounding. */
import * as Component from "../../dsl/Component.ts"
import type { World } from "../../dsl/exactArtifacts.ts"

/** Log-probabilities of the responses in one context, given the reference's. */
export type Solve = (world: World, context: number, logReference: Float64Array) => ArrayLike<number>

export const Solutions = Component.kind<Solve>()("solution")

/** The first weighted sum of rewards in a context: `sum_k weights[k] rewards[k]`; RangeError where the world lacks one. */
export const collectiveReward = (
  { rewards }: World,
  context: number,
  weights: ReadonlyArray<number>
): ReadonlyArray<number> => {
  const rows = weights.map((_, k) => rewards?.[k]?.[context])
  if (rows.some((row) => row === undefined))
    throw new RangeError(`the world has ${rewards?.length ?? 0} rewards, not ${weights.length}`)
  return rows[0]!.map((_, y) => rows.reduce((sum, row, k) => sum + weights[k]! * row![y]!, 0))
}
