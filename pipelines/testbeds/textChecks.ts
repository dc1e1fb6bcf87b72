/** What claims about preference optimization turn into on the text testbed. Every check runs three seeds. */
import { Effect } from "effect"
import type { Evaluation } from "../../dsl/artifacts.ts"
import * as Check from "../../dsl/Check.ts"

const seed = [0, 1, 2]

interface Run {
  readonly params: Readonly<Record<string, unknown>>
  readonly outputs: { readonly report: Evaluation; readonly heldOut: Evaluation }
}

const estimate =
  (name: string, output: "report" | "heldOut" = "report") =>
  (run: Run) =>
    run.outputs[output].estimates[name]!.mean

/** Mean over seeds of one number a run, which must lie above `bound` with its whole interval. */
const above = (
  name: string,
  expected: string,
  bound: number,
  over: Check.Check["over"],
  values: (runs: ReadonlyArray<Run>) => ReadonlyArray<number>,
  output: keyof Run["outputs"] = "report"
): Check.Check => ({
  name,
  kind: "statistical",
  expected,
  over,
  outputs: [output],
  measure: (runs) => Effect.sync(() => Check.meanOverSeeds(values(runs as ReadonlyArray<any>))),
  holds: ({ interval }) => interval !== undefined && interval[0] > bound
})

/** The judge, which nothing was trained on, rates the policy's answers higher than the reference's by more than `margin`. */
export const judgeGains = (margin: number) =>
  above(
    "the judge's sentiment rises",
    `VADER gain over the reference on held-out prompts above ${margin}, 95 % interval included`,
    margin,
    { seed },
    (runs) => runs.map(estimate("judge/gain"))
  )

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
      const estimates = (runs as ReadonlyArray<Run>).map(({ outputs }) => outputs.report.estimates["kl"]!)
      const interval = [
        Math.min(...estimates.map(({ low }) => low)),
        Math.max(...estimates.map(({ high }) => high))
      ] as const
      return { value: estimates.reduce((sum, { mean }) => sum + mean, 0) / estimates.length, interval }
    }),
  holds: ({ interval }) => interval !== undefined && interval[0] > 0
}

/** Implicit rewards order held-out pairs better than chance. */
export const heldOutAccuracy = above(
  "implicit rewards order held-out pairs",
  "accuracy above 0.5, 95 % interval included",
  0.5,
  { seed },
  (runs) => runs.map(estimate("rewards/accuracies", "heldOut")),
  "heldOut"
)

/**
 * The weaker constraint leads further from the reference. Compared by the logarithm of the ratio of KLs at the same seed:
 * how far a policy gets differs several-fold between seeds, and then at both betas alike.
 */
export const lowerBetaMovesFurther = ([low, high]: readonly [low: number, high: number]) =>
  above(
    "a lower beta gives more KL",
    `ln (KL at beta ${low} / KL at beta ${high}), same seed, above 0, 95 % interval included`,
    0,
    { seed, beta: [low, high] },
    (runs) => {
      const kl = (s: unknown, beta: number) =>
        estimate("kl")(runs.find(({ params }) => params["seed"] === s && params["beta"] === beta)!)
      return [...new Set(runs.map(({ params }) => params["seed"]))].map((s) => Math.log(kl(s, low) / kl(s, high)))
    }
  )
