/** What every objective obeys, on generated items. The checks on tensors run on the current backend. */
import { Arbitrary, Effect } from "effect"
import type * as Component from "../../dsl/Component.ts"
import * as Law from "../../dsl/Law.ts"
import * as Float64 from "./algebra/float64.ts"
import type { Objective } from "./Objective.ts"
import {
  evaluate,
  float64Items,
  gradient64,
  type Item,
  itemsFor,
  near,
  onTensors,
  type Rows
} from "./objectiveSamples.ts"

const broken = (reason: string) => Effect.fail(new Law.Broken({ reason }))

/** `d/dh loss(item moved by h along its direction)` at 0, by the gradient. */
const slope = (objective: Objective, item: Item): number => {
  const { heads, logProbs } = gradient64(objective, [item])
  const along = (rows: Rows, directions: Readonly<Record<string, ReadonlyArray<{ readonly direction: number }>>>) =>
    Object.entries(rows).flatMap(([role, [row]]) => (row ?? []).map((g, i) => g * directions[role]![i]!.direction))
  return [...along(logProbs, item.answers), ...along(heads, item.heads)].reduce((sum, x) => sum + x, 0)
}

/** Small ones are for losses that bend sharply, as odds do next to certainty. */
const STEPS = [2 ** -9, 2 ** -18, 2 ** -26]

/**
 * Central differences of one item's loss, extrapolated (Richardson), or, where the loss has a kink within the step, the
 * one-sided differences of the side that has none. What is meant to carry no gradient is held.
 */
const matchesDifferences = (objective: Objective, item: Item) => {
  const base = Float64.evaluate([objective.loss], float64Items([item]))
  const at = (step: number) =>
    Float64.evaluate([objective.loss], { ...float64Items([item], step), held: base }).values[0]![0]!
  const here = at(0)
  const central = (step: number) => (at(step) - at(-step)) / (2 * step)
  const richardson = (difference: (step: number) => number, order: number, step: number) =>
    (2 ** order * difference(step / 2) - difference(step)) / (2 ** order - 1)
  const aside = (sign: number) => (step: number) => (at(sign * step) - here) / (sign * step)
  const found = slope(objective, item)
  const scale = 1 + Math.abs(here) + Math.abs(found)
  for (const step of STEPS) {
    if (Math.abs(found - richardson(central, 2, step)) <= 1e-6 * scale) return Effect.succeed(true)
    const sides = [1, -1].map((sign) => richardson(aside(sign), 1, step))
    if (sides.some((side) => Math.abs(found - side) <= 1e-4 * scale)) return Effect.succeed(true)
  }
  return broken(`the gradient gives ${found}, finite differences ${STEPS.map((step) => richardson(central, 2, step))}`)
}

/**
 * float32 has 2^-24 of relative precision; sums of a few terms of up to some tens, and cancellation between them, lose a
 * few bits of it.
 */
const SINGLE = 2e-5

const sameRows = (a: Rows, b: Rows, tolerance: number) =>
  Object.keys(a).every((role) => a[role]!.every((row, i) => near(row, b[role]![i]!, tolerance)))

export const laws = ({ implementation: objective }: Component.Component<"objective", Objective>) => {
  const given = itemsFor(objective)
  const { batch } = objective.reads
  const laws = [
    Law.make("gives each item one finite loss and each answer one finite reward", given, (items) => {
      const { loss, reward } = evaluate(objective, items)
      const rewards = objective.reads.roles.length === 0 ? [] : reward(objective.reads.roles[0]!)
      if (loss.length !== items.length) return broken(`${loss.length} losses of ${items.length} items`)
      const odd = [...loss, ...rewards].find((value) => !Number.isFinite(value))
      return odd === undefined ? true : broken(`one of them is ${odd}`)
    }),
    Law.make("has the gradient of its finite differences", given, (items) =>
      Effect.as(
        Effect.forEach(items, (item) => matchesDifferences(objective, item), { discard: true }),
        true
      )
    ),
    Law.make("does not see the order of the items", given, (items) => {
      const back = items.toReversed()
      const [there, here] = [gradient64(objective, items), gradient64(objective, back)]
      const turned = (rows: Rows) => Object.fromEntries(Object.entries(rows).map(([r, each]) => [r, each.toReversed()]))
      const total = (values: ReadonlyArray<number>) => [values.reduce((sum, x) => sum + x, 0)]
      const sameLoss = near(total(evaluate(objective, items).loss), total(evaluate(objective, back).loss))
      return sameLoss && (hasTies(items) || sameRows(there.logProbs, turned(here.logProbs), 1e-9))
    })
  ]
  if (batch) return laws
  return [
    ...laws,
    Law.make("costs an item the same alone as in a batch", given, (items) =>
      near(
        evaluate(objective, items).loss,
        items.flatMap((item) => evaluate(objective, [item]).loss)
      )
    ),
    Law.make("is on tensors what it is in float64, gradient included", given, (items) => {
      const [exact, slopes] = [evaluate(objective, items), gradient64(objective, items)]
      const found = onTensors(objective, items)
      const scale = Math.max(1, ...exact.loss.map(Math.abs))
      if (!near(found.loss, exact.loss, SINGLE * scale)) return broken(`losses ${found.loss}, in float64 ${exact.loss}`)
      return sameRows(found.logProbs, slopes.logProbs, SINGLE * scale)
    }),
    Law.make("does not see padding", Arbitrary.all([given, Arbitrary.schema(Law.Real(-9, 0))]), ([items, outside]) => {
      const [bare, padded] = [onTensors(objective, items), onTensors(objective, items, { padding: 3, outside })]
      return near(bare.loss, padded.loss, 1e-6) && sameRows(bare.logProbs, padded.logProbs, 1e-6)
    })
  ]
}

/** Equal values have no order: which of them a sorted batch sends its gradient to is a convention. */
const hasTies = (items: ReadonlyArray<Item>): boolean => {
  const sums = items.map(({ answers }) =>
    JSON.stringify(Object.values(answers).map((row) => row.map(({ policy }) => policy)))
  )
  return new Set(sums).size < sums.length
}
