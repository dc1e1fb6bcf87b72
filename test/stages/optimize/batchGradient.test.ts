/** Losses whose items depend on one another: the gradient of a whole batch, and not only of each item alone. */
import { describe, it } from "@effect/vitest"
import * as Law from "../../../dsl/Law.ts"
import * as X from "../../../stages/optimize/algebra/Expression.ts"
import * as Float64 from "../../../stages/optimize/algebra/float64.ts"
import type { Written } from "../../../stages/optimize/Objective.ts"
import { float64Items, gradient64, type Item, itemsFor } from "../../../stages/optimize/objectiveSamples.ts"
import { aot } from "../../../stages/optimize/objectives/aot.ts"
import { bco } from "../../../stages/optimize/objectives/bco.ts"
import { betaDpo } from "../../../stages/optimize/objectives/betaDpo.ts"
import { cpo } from "../../../stages/optimize/objectives/cpo.ts"
import { kto } from "../../../stages/optimize/objectives/kto.ts"
import { sumLogProb } from "../../../stages/optimize/statistics.ts"
import { assertLaws } from "../support.ts"

const sum = (values: Iterable<number>) => Array.from(values).reduce((total, x) => total + x, 0)

/** The change of the batch's summed loss along all items' directions together, by the gradient. */
const slope = (objective: Written, items: ReadonlyArray<Item>) => {
  const { logProbs } = gradient64(objective, items)
  return sum(
    items.flatMap(({ answers }, i) =>
      Object.entries(answers).flatMap(([role, tokens]) => tokens.map((t, at) => t.direction * logProbs[role]![i]![at]!))
    )
  )
}

const STEPS = [2 ** -9, 2 ** -14, 2 ** -20]

/** What carries no gradient is held. At a kink one of the one-sided differences is right. */
const law = (objective: Written) =>
  Law.make("has the gradient of its finite differences as a batch", itemsFor(objective), (items) => {
    const held = Float64.evaluate([objective.loss], float64Items(items))
    const at = (step: number) =>
      sum(Float64.evaluate([objective.loss], { ...float64Items(items, step), held }).values[0]!)
    const found = slope(objective, items)
    const isNear = (difference: number) =>
      Math.abs(found - difference) <= 1e-4 * (1 + Math.abs(found) + Math.abs(at(0)))
    return STEPS.some((h) => [(at(h) - at(-h)) / (2 * h), (at(h) - at(0)) / h, (at(0) - at(-h)) / h].some(isNear))
  })

const total = sumLogProb("chosen")
const byMean = { reward: sumLogProb, loss: X.mul(total, X.batchMean(total)) }

describe("the gradient of a batch", () => {
  it.effect("through a batch's mean", () => assertLaws([law(byMean)]))
  for (const objective of [
    aot({ beta: 0.5 }),
    bco({ beta: 0.5 }),
    betaDpo({ beta: 0.5, level: "batch" }),
    cpo({ normalization: "tokenMean" }),
    kto({ beta: 0.5 })
  ])
    it.effect(objective.name, () => assertLaws([law(objective.implementation)]))
})
