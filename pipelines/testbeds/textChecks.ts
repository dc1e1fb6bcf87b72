/** What claims about preference optimization turn into on the text testbed. Every check runs three seeds. */
import { Effect } from "effect"
import type { Evaluation } from "../../dsl/artifacts.ts"
import type * as Check from "../../dsl/Check.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { estimate, onAverage } from "./checks.ts"

const seed = Pipeline.Seeds(3)

/** The judge, which nothing was trained on, rates the policy's answers higher than the reference's by more than `margin`. */
export const judgeGains = (margin: number) =>
  onAverage({
    name: "the judge's sentiment rises",
    expected: `VADER gain over the reference on held-out prompts above ${margin}, 95 % interval included`,
    outputs: ["report"],
    value: estimate("report", "judge/gain"),
    above: margin
  })

/**
 * The policy leaves its reference, and how far is known: the interval spans those of all seeds, each over held-out
 * prompts. (How far differs much between seeds, so the mean over three of them says little.)
 */
export const moves: Check.Check = {
  name: "the KL to the reference is positive",
  kind: "statistical",
  expected: "on-policy estimate in nats per answer above 0 for every seed, 95 % interval over prompts included",
  over: { seed },
  outputs: ["report"],
  measure: (runs) =>
    Effect.sync(() => {
      const estimates = runs.map(({ outputs }) => (outputs.report as Evaluation).estimates["kl"]!)
      const interval = [
        Math.min(...estimates.map(({ low }) => low)),
        Math.max(...estimates.map(({ high }) => high))
      ] as const
      return { value: estimates.reduce((sum, { mean }) => sum + mean, 0) / estimates.length, interval }
    }),
  holds: ({ interval }) => interval !== undefined && interval[0] > 0
}

/** Implicit rewards order held-out pairs better than chance. */
export const heldOutAccuracy = onAverage({
  name: "implicit rewards order held-out pairs",
  expected: "accuracy above 0.5, 95 % interval included",
  outputs: ["heldOut"],
  value: estimate("heldOut", "rewards/accuracies"),
  above: 0.5
})

/**
 * The weaker constraint leads further from the reference. Compared by the logarithm of the ratio of KLs at the same seed:
 * how far a policy gets differs several-fold between seeds, and then at both betas alike.
 */
export const lowerBetaMovesFurther = ([low, high]: readonly [low: number, high: number]) =>
  onAverage({
    name: "a lower beta gives more KL",
    expected: `ln (KL at beta ${low} / KL at beta ${high}), same seed, above 0, 95 % interval included`,
    over: { seed, beta: [low, high] },
    outputs: ["report"],
    values: (runs) => {
      const kl = (s: number, beta: number) =>
        estimate("report", "kl")(runs.find(({ params }) => params["seed"] === s && params["beta"] === beta)!)
      return seed.map((s) => Math.log(kl(s, low) / kl(s, high)))
    },
    above: 0
  })
