/** Objectives on single items, without a world: their values, and their slopes against differences, in float64. */
import type * as Component from "../../dsl/Component.ts"
import * as Rng from "../../dsl/Rng.ts"
import type { Objective } from "../../stages/index.ts"
import type { Role } from "../../stages/optimize/algebra/Expression.ts"
import * as Float64 from "../../stages/optimize/algebra/float64.ts"
import { evaluate, float64Items, gradient64, type Item, type Token } from "../../stages/optimize/objectiveSamples.ts"

export type AnyObjective = Component.Component<"objective", Objective>

/** An answer of so many tokens whose log-probabilities sum to the given ones. */
const spreadOver = ([tokens, policy, reference]: Sums): ReadonlyArray<Token> =>
  Array.from({ length: tokens }, () => ({
    policy: policy / tokens,
    reference: reference / tokens,
    guide: reference / tokens,
    direction: 0
  }))

/** An answer's number of tokens and its summed log-probabilities. */
type Sums = readonly [tokens: number, policy: number, reference: number]

/** What an item is, as far as most objectives can tell. */
export interface Summary {
  readonly chosen: Sums
  readonly rejected: Sums
  readonly others?: Readonly<Record<Role, Sums>>
  readonly numbers?: Readonly<Record<string, number>>
}

const itemOf = ({ chosen, numbers = {}, others = {}, rejected }: Summary): Item => {
  const answers = Object.fromEntries(
    Object.entries({ chosen, rejected, ...others }).map(([role, of]) => [role, spreadOver(of)])
  )
  return { answers, heads: Object.fromEntries(Object.keys(answers).map((role) => [role, []])), numbers }
}

/** The loss of one item. */
export const lossOf = (objective: AnyObjective, summary: Summary): number =>
  evaluate(objective.implementation, [itemOf(summary)]).loss[0]!

/** The derivatives of the loss with respect to the two answers' summed log-probabilities, spread evenly over tokens. */
export const slopesOf = (objective: AnyObjective, summary: Summary) => {
  const { logProbs } = gradient64(objective.implementation, [itemOf(summary)])
  const mean = (role: Role) => logProbs[role]![0]!.reduce((sum, slope) => sum + slope, 0) / logProbs[role]![0]!.length
  return { chosen: mean("chosen"), rejected: mean("rejected") }
}

/**
 * The largest distance, relative where slopes are above 1, of an objective's derivative along random directions to central
 * differences, over batches of three random items with all that it reads. What carries no gradient is held.
 */
export const differenceError = (objective: AnyObjective, batches = 8): number =>
  Math.max(...Array.from({ length: batches }, (_, k) => errorOn(objective, randomItems(objective, k))))

const STEP = 2 ** -13

const errorOn = ({ implementation }: AnyObjective, items: ReadonlyArray<Item>): number => {
  const here = Float64.evaluate([implementation.loss], float64Items(items))
  const total = (step: number) => {
    const moved = { ...float64Items(items, step), held: here }
    return Float64.evaluate([implementation.loss], moved).values[0]!.reduce((sum, loss) => sum + loss, 0)
  }
  // Two step sizes cancel the error of the third derivative.
  const difference = (8 * (total(STEP / 2) - total(-STEP / 2)) - (total(STEP) - total(-STEP))) / (6 * STEP)
  const { heads, logProbs } = gradient64(implementation, items)
  let slope = 0
  items.forEach((item, i) => {
    for (const [role, tokens] of Object.entries(item.answers))
      tokens.forEach(({ direction }, t) => {
        slope += direction * (logProbs[role]?.[i]?.[t] ?? 0)
      })
    for (const [role, outputs] of Object.entries(item.heads))
      outputs.forEach(({ direction }, t) => {
        slope += direction * (heads[role]?.[i]?.[t] ?? 0)
      })
  })
  return Math.abs(difference - slope) / Math.max(1, Math.abs(slope))
}

const randomItems = ({ implementation: { reads } }: AnyObjective, seed: number): ReadonlyArray<Item> => {
  const rng = Rng.make(seed, "objectives")
  let drawn = 0
  const between = (low: number, high: number) => low + (high - low) * rng.uniform(drawn++)
  const token = (): Token => ({
    policy: between(-3, -0.2),
    reference: between(-3, -0.2),
    guide: between(-3, -0.2),
    direction: between(-1, 1)
  })
  const roles = [...new Set(["chosen", "rejected", ...reads.roles])]
  return Array.from({ length: 3 }, () => ({
    answers: Object.fromEntries(
      roles.map((role) => [role, Array.from({ length: 1 + Math.floor(between(0, 4)) }, token)])
    ),
    heads: Object.fromEntries(
      roles.map((role) => [
        role,
        Array.from({ length: reads.heads }, () => ({ value: between(0.3, 2), direction: between(-1, 1) }))
      ])
    ),
    numbers: Object.fromEntries(
      Object.entries(reads.numbers).map(([name, { maximum, minimum, whole }]) => {
        const value = between(minimum, maximum)
        return [name, whole === true ? Math.round(value) : value]
      })
    )
  }))
}
