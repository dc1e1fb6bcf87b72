/** The kind of component that solves a world: the policy that a method ought to find, in closed form or to rounding. */
import * as Component from "../../dsl/Component.ts"
import type { World } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { responseLogProbs } from "../../runtime/exact/Policy.ts"
import { Bandits, close } from "./generated.ts"

/** Log-probabilities of the responses in one context, given the reference's. */
export type Solve = (world: World, context: number, logReference: Float64Array) => ArrayLike<number>

/** The log-probabilities in each context of a bandit, or the reason why the world is not one that can be solved so. */
const solved = (solve: Solve, world: World): ReadonlyArray<ReadonlyArray<number>> | RangeError => {
  const reference = policyOf(world.reference)
  try {
    return world.rewards![0]!.map((_, context) =>
      Array.from(solve(world, context, responseLogProbs(reference, context)))
    )
  } catch (cause) {
    if (cause instanceof RangeError) return cause
    throw cause
  }
}

/** The same bandit with its responses in the opposite order. */
const turned = ({ reference, rewards }: World): World => {
  const [table] = rewards!
  const size = table![0]!.length
  const theta = table!.flatMap((_, c) => reference.theta.slice(c * size, (c + 1) * size).toReversed())
  return { reference: { ...reference, theta }, rewards: [table!.map((row) => row.toReversed())] }
}

const laws = ({ implementation: solve }: Component.Component<"solution", Solve>) => [
  Law.make("is a distribution over the responses, or refuses the world", Bandits, ({ world }) => {
    const found = solved(solve, world)
    if (found instanceof RangeError) return found.message !== ""
    return found.every((row) =>
      close(
        row.reduce((sum, x) => sum + Math.exp(x), 0),
        1,
        1e-6
      )
    )
  })
]

/** The responses in another order are solved by the same probabilities in that order: true where no parameter names one. */
export const seesNoNames = (solve: Solve): Law.Law =>
  Law.make("does not see the names of the responses", Bandits, ({ world }) => {
    const [there, back] = [solved(solve, world), solved(solve, turned(world))]
    if (there instanceof RangeError || back instanceof RangeError) return String(there) === String(back)
    return there.every((row, c) => row.every((x, y) => close(Math.exp(x), Math.exp(back[c]!.at(-1 - y)!), 1e-6)))
  })

/** Ways to solve a world for the policy that is best in it, in closed form or to rounding. */
export const Solutions = Component.kind<Solve>()("solution", { laws })

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
