/** What the answers of a world earn against one another, as the games of preferences are played. */
import { Schema } from "effect"
import type { World } from "../../dsl/exactArtifacts.ts"
import { withDefault } from "../../dsl/Params.ts"
import type { Matrix } from "../../runtime/exact/bandit.ts"
import { preferencesOf } from "./population.ts"

export const Payoff = Schema.Literals(["win-rate", "log-odds"])
export type Payoff = typeof Payoff.Type

/** `win-rate`: the probability to be preferred. `log-odds`: the skew-symmetric score `ln (P / (1 - P))`. */
export const payoffField = Payoff.pipe(withDefault("win-rate"))

/** The payoffs `[y][z]` in a context. RangeError where the world has no preferences, or log-odds that are not finite. */
export const payoffsOf = (world: World, context: number, payoff: Payoff): Matrix => {
  const preferences = preferencesOf(world, context)
  if (preferences === undefined) throw new RangeError("the world has no preferences")
  return payoff === "win-rate" ? preferences : scoresOf(preferences)
}

/** The log-odds of preferences, skew-symmetric to the last digit. RangeError for a preference of 0 or 1. */
export const scoresOf = (preferences: Matrix): Matrix =>
  preferences.map((row, y) =>
    Float64Array.from(row, (p, z) => {
      const score = y === z ? 0 : Math.log(p / preferences[z]![y]!)
      if (!Number.isFinite(score)) throw new RangeError(`P[${y}][${z}] is ${p}: its log-odds are not finite`)
      return score
    })
  )
