/** The kinds of value that prefline's own stages exchange. */
import { Schema } from "effect"
import * as Artifact from "./Artifact.ts"
import { Count, Index, NonNegative } from "./Params.ts"

/** A line of text, with the label its source gives it (for sentiment: 0 negative, 1 positive). */
export const Text = Schema.Struct({
  id: Schema.NonEmptyString,
  text: Schema.NonEmptyString,
  label: Schema.optionalKey(Schema.Int)
})
export type Text = typeof Text.Type

/** A text to be answered. Its `id` names it in pairs and rankings. */
export const Prompt = Schema.Struct({ id: Schema.NonEmptyString, text: Schema.String })
export type Prompt = typeof Prompt.Type

/**
 * One answer to a prompt. `tokens` are the policy's own ids without the end-of-sequence token; they are absent where
 * the text did not come from a policy. `finish` is `stop` where the answer ended by itself (training then appends the
 * end-of-sequence token) and `length` where it was cut off.
 */
export const Completion = Schema.Struct({
  text: Schema.String,
  tokens: Schema.optionalKey(Schema.Array(Index)),
  finish: Schema.Literals(["stop", "length"]),
  /** What a service says of its own tokens, nats: the spelling and the log-probability of each. */
  tokenLogProbs: Schema.optionalKey(Schema.Array(Schema.Struct({ token: Schema.String, logProb: Schema.Finite })))
})
export type Completion = typeof Completion.Type

/** An answer with its reward, a finite number without fixed range. */
export const ScoredCompletion = Schema.Struct({ ...Completion.fields, score: Schema.Finite })
export type ScoredCompletion = typeof ScoredCompletion.Type

/** All answers to one prompt, in the order in which they were sampled. */
export const CompletionGroup = Schema.Struct({ prompt: Prompt, completions: Schema.Array(Completion) })
export type CompletionGroup = typeof CompletionGroup.Type

/** All answers to one prompt with their rewards, in the order in which they were sampled. */
export const ScoredGroup = Schema.Struct({ prompt: Prompt, completions: Schema.Array(ScoredCompletion) })
export type ScoredGroup = typeof ScoredGroup.Type

/** One more answer that a method reads beside a pair's two; `prompt` where it answers another one than they do. */
export const Other = Schema.Struct({ prompt: Schema.optionalKey(Prompt), completion: Completion })
export type Other = typeof Other.Type

/**
 * A preference: `margin` is the chosen answer's score minus the rejected one's, at least 0. `others` are further answers by
 * the role they play (`gold`, `calibration`, the answers of a group), `numbers` what else is known of the pair (a weight, win
 * rates, margins of other rewards).
 */
export const Pair = Schema.Struct({
  id: Schema.NonEmptyString,
  prompt: Prompt,
  chosen: Completion,
  rejected: Completion,
  margin: NonNegative,
  others: Schema.optionalKey(Schema.Record(Schema.String, Other)),
  numbers: Schema.optionalKey(Schema.Record(Schema.String, Schema.Finite))
})
export type Pair = typeof Pair.Type

/** Answers from best to worst, ties in sampled order. */
export const Ranking = Schema.Struct({ prompt: Prompt, ranked: Schema.Array(ScoredCompletion) })
export type Ranking = typeof Ranking.Type

/** Log-probabilities in nats of every token of a pair's answers, the end-of-sequence token included where it counts. */
export const PairLogProbs = Schema.Struct({
  pair: Schema.NonEmptyString,
  chosen: Schema.Array(Schema.Finite),
  rejected: Schema.Array(Schema.Finite),
  others: Schema.optionalKey(Schema.Record(Schema.String, Schema.Array(Schema.Finite)))
})
export type PairLogProbs = typeof PairLogProbs.Type

/** A mean over `count` items with its two-sided 95 % interval. */
export const Estimate = Schema.Struct({ mean: Schema.Finite, low: Schema.Finite, high: Schema.Finite, count: Count })
export type Estimate = typeof Estimate.Type

/**
 * What an evaluation measured, by name, with a few prompts answered before and after. `byPrompt` is what estimates of the
 * same name are the means of, each value beside its prompt's id: two evaluations on the same prompts compare by it. A prompt
 * may have several values (those of its pairs), which then belong together.
 */
export const Evaluation = Schema.Struct({
  estimates: Schema.Record(Schema.String, Estimate),
  byPrompt: Schema.optionalKey(
    Schema.Struct({
      prompts: Schema.Array(Schema.String),
      values: Schema.Record(Schema.String, Schema.Array(Schema.Finite))
    })
  ),
  examples: Schema.Array(
    Schema.Struct({
      prompt: Schema.String,
      reference: Schema.String,
      referenceReward: Schema.Finite,
      policy: Schema.String,
      policyReward: Schema.Finite
    })
  )
})
export type Evaluation = typeof Evaluation.Type

/** Metrics come from tensors: a recomputation on another device may differ in the last digits. */
const computed = { equality: Artifact.within(1e-4) }

/** Records of `Text`: a corpus, in order. */
export const Texts = Artifact.records("texts", Text)
/** Records of `Prompt`. */
export const Prompts = Artifact.records("prompts", Prompt)
/** Records of `CompletionGroup`: what `sample` makes of prompts. */
export const Completions = Artifact.records("completions", CompletionGroup)
/** Records of `ScoredGroup`: what `score` makes of answers. */
export const Scored = Artifact.records("scored", ScoredGroup)
/** Records of `Pair`: preferences to train on. */
export const Pairs = Artifact.records("pairs", Pair)
/** Records of `Ranking`: what `rank` makes of scored answers. */
export const Rankings = Artifact.records("rankings", Ranking)
/** Records of `PairLogProbs` under one policy. Equal within 1e-4. */
export const PairLogProbsSet = Artifact.records("pair-log-probs", PairLogProbs, computed)
/** One `Evaluation`: what `evaluate` returns. Equal within 1e-4. */
export const EvaluationReport = Artifact.value("evaluation", Evaluation, computed)
/** A Hugging Face `tokenizer.json`. */
export const TokenizerJson = Artifact.value("tokenizer", Schema.JsonObject)
