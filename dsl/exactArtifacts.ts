/**
 * The kinds of value of worlds that can be solved: policies as plain float64 parameters, and what answers are worth.
 */
import { Schema } from "effect"
import * as Artifact from "./Artifact.ts"
import { Count } from "./Params.ts"

const Vector = Schema.Array(Schema.Finite)
const Matrix = Schema.Array(Vector)

/** A free distribution over the responses of each context; `theta` are the logits, context by context. */
export const SoftmaxFamily = Schema.Struct({ kind: Schema.Literal("softmax"), contexts: Count, responses: Count })

/** `softmax(base[context] + features[context] . theta)`; features `[contexts][responses][parameters]`. */
export const LinearFamily = Schema.Struct({
  kind: Schema.Literal("linear"),
  base: Matrix,
  features: Schema.Array(Matrix)
})

/** `softmax_y(theta[y] . features[context])`: logits linear in what is known of the context; `theta` is `[responses][features]`. */
export const ConditionalFamily = Schema.Struct({
  kind: Schema.Literal("conditional"),
  responses: Count,
  features: Matrix
})

/**
 * A first-order chain over `symbols` symbols and, unless `endless`, an end symbol of id `symbols`. It stops after
 * `horizon` symbols at the latest; an endless one has exactly so many. `theta` are the logits of `symbols + 1` rows by
 * previous symbol, the start last; each has `symbols + 1` entries, or `symbols` where endless.
 */
export const MarkovFamily = Schema.Struct({
  kind: Schema.Literal("markov"),
  symbols: Count,
  horizon: Count,
  endless: Schema.Boolean
})

/** Independent draws from one distribution over symbols, of logits `theta`; `length` of them where it samples. */
export const UnigramFamily = Schema.Struct({ kind: Schema.Literal("unigram"), symbols: Count, length: Count })

/**
 * Independent draws of a type, each but the last possible one followed by a decision to stop whose probability (the
 * hazard) depends on the position. `theta` are `types` logits of types, then `horizon - 1` logits of hazards.
 */
export const HazardFamily = Schema.Struct({ kind: Schema.Literal("hazard"), types: Count, horizon: Count })

export const FamilyData = Schema.Union([
  SoftmaxFamily,
  LinearFamily,
  ConditionalFamily,
  MarkovFamily,
  UnigramFamily,
  HazardFamily
])
export type FamilyData = typeof FamilyData.Type

/** A policy of which everything can be computed: its family and its parameters. */
export const ExactPolicy = Schema.Struct({ family: FamilyData, theta: Vector })
export type ExactPolicy = typeof ExactPolicy.Type

/**
 * What is known of a world: the policy that it starts from and is regularized to;
 * `rewards[objective][context][response]`; `preferences[context][y][z]`, the probability that `y` is preferred to `z`;
 * `tokenRewards[symbol]`.
 */
export const World = Schema.Struct({
  reference: ExactPolicy,
  rewards: Schema.optionalKey(Schema.Array(Matrix)),
  preferences: Schema.optionalKey(Schema.Array(Matrix)),
  tokenRewards: Schema.optionalKey(Vector)
})
export type World = typeof World.Type

/** Trained in float64: another processor's exponential may differ in its last digit. */
const computed = { equality: Artifact.within(1e-9) }

export const ExactPolicyValue = Artifact.value("exact-policy", ExactPolicy, computed)
export const WorldValue = Artifact.value("world", World, computed)
