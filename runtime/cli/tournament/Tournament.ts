/** What a tournament came to, as `--json` prints it. */
import { Schema } from "effect"
import type { Measures } from "../../../pipelines/tournament/index.ts"

/** A mean over seeds with its two-sided 95 % interval, which one seed does not give. */
export const Spread = Schema.Struct({
  mean: Schema.Finite,
  low: Schema.NullOr(Schema.Finite),
  high: Schema.NullOr(Schema.Finite)
})
export type Spread = typeof Spread.Type

const measures = {
  winRate: Spread,
  gain: Spread,
  kl: Spread,
  length: Spread,
  displacement: Spread
} satisfies Readonly<Record<keyof Measures, typeof Spread>>
export type Measure = keyof typeof measures
export const MEASURES = Object.keys(measures) as ReadonlyArray<Measure>

/** A method at one strength, trained on the labels as they are. */
export const Point = Schema.Struct({ strength: Schema.Finite, ...measures })
export type Point = typeof Point.Type

export const Standing = Schema.Struct({
  method: Schema.String,
  /** What its strength is called; null where it has none. */
  parameter: Schema.NullOr(Schema.String),
  /** The strength of the highest win rate less 0.1 KL; null where no strength was measured in every seed. */
  best: Schema.NullOr(Point),
  /** Its win rate less that of the first, seed by seed; null for the first itself. */
  behind: Schema.NullOr(Spread),
  /** All strengths that were measured in every seed, by KL. */
  frontier: Schema.Array(Point),
  /** Gold reward gain on its own frontier at the tournament's KL; null where the frontier does not reach that. */
  gainAtMatchedKl: Schema.NullOr(Schema.Finite),
  /** At the best strength, after training on labels of which some are flipped; null where that was not run. */
  flipped: Schema.NullOr(Schema.Struct({ winRate: Spread, change: Spread })),
  cost: Schema.Struct({
    /** Milliseconds of a training on clean labels when it was computed, the mean over strengths and seeds; null where none was. */
    trainingMs: Schema.NullOr(Schema.Finite),
    /** Answers that go through the policy for each pair and step. */
    policyAnswers: Schema.Int,
    /** Answers that go once through the frozen reference for each pair. */
    referenceAnswers: Schema.Int
  }),
  /** Trainings or measurements that failed, and why. */
  problems: Schema.Array(Schema.String)
})
export type Standing = typeof Standing.Type

export const Tournament = Schema.Struct({
  testbed: Schema.Literals(["tabular", "sequences", "text"]),
  gold: Schema.String,
  /** How a method's strength is chosen. */
  selection: Schema.String,
  seeds: Schema.Array(Schema.Int),
  flip: Schema.Finite,
  /** Nats; null where nothing was measured. */
  matchedKl: Schema.NullOr(Schema.Finite),
  /** By win rate, highest first. */
  standings: Schema.Array(Standing),
  /** The most gold reward that any policy gains at a KL, where that is known. */
  optimum: Schema.Array(Schema.Struct({ beta: Schema.Finite, kl: Schema.Finite, gain: Schema.Finite })),
  /** Which to use when, in sentences. */
  summary: Schema.Array(Schema.String),
  provenance: Schema.Struct({
    run: Schema.String,
    versions: Schema.Struct({ prefline: Schema.String, node: Schema.String, effect: Schema.String }),
    device: Schema.String,
    params: Schema.JsonObject,
    computed: Schema.Int,
    cached: Schema.Int,
    /** Store keys of the trained policies. */
    keys: Schema.Record(Schema.String, Schema.String)
  })
})
export type Tournament = typeof Tournament.Type
