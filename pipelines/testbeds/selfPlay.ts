/** Self-play on text: a policy answers, its answers are compared with one another, and it is trained on the outcome. */
import type { Completions, Pairs } from "../../dsl/artifacts.ts"
import type * as Component from "../../dsl/Component.ts"
import type { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import type * as Node from "../../dsl/Node.ts"
import { Count, Positive, withDefault } from "../../dsl/Params.ts"
import type { Device } from "../../runtime/device/Device.ts"
import {
  afinn,
  duels,
  length,
  likelihoodChange,
  logProbs,
  majority,
  type Objective,
  optimize,
  rated,
  repetition,
  sample,
  winRates
} from "../../stages/index.ts"
import * as Text from "./text.ts"

export type Policy = Node.Node<typeof CheckpointFolder, unknown, Device>
export type Preferences = Node.Node<typeof Pairs, unknown, Device>
export type Answers = Node.Node<typeof Completions, unknown, Device>
export type AnyObjective = Component.Component<"objective", Objective, any, any>

/** Parameters of methods that train round by round, each on new answers of the policy that the round before left. */
export const roundFields = {
  rounds: Count.pipe(withDefault(3)),
  learningRate: Positive.pipe(withDefault(8e-4)),
  ...Text.scaleFields,
  /** Optimizer steps of a round. */
  steps: Count.pipe(withDefault(40)),
  /** Prompts of a round, drawn anew. */
  trainPrompts: Count.pipe(withDefault(400)),
  perPrompt: Count.pipe(withDefault(5))
}

/** Sentiment, an answer of about six words, no repetition: two of three decide, so answers can beat one another in a circle. */
export const judge = majority({ rewards: [afinn(), length({ target: 6 }), repetition()] })

/** The best and the worst of a policy's own answers to training prompts, with their win rates among all of them. */
export const preferences = (
  policy: Policy,
  options: { readonly prompts: number; readonly perPrompt: number }
): Preferences =>
  Text.prompts({ split: "train", limit: options.prompts }).pipe(
    sample({ policy, perPrompt: options.perPrompt, as: "train-samples" }),
    winRates({ judge, as: "win-rates" }),
    rated({ as: "train-pairs" })
  )

/** Trains a policy on pairs, with itself as the reference where the objective reads one. */
export const trained = (
  policy: Policy,
  pairs: Preferences,
  options: {
    readonly objective: AnyObjective
    readonly steps: number
    readonly learningRate: number
    readonly as: string
  }
): Policy => {
  const annotated = options.objective.implementation.reads.reference
    ? { referenceLogProbs: pairs.pipe(logProbs({ policy })) }
    : {}
  return pairs.pipe(optimize.preference({ from: policy, ...options, ...annotated }))
}

/** Answers to held-out prompts; two policies are given the same draws. */
export const heldOut = (policy: Policy, options: { readonly prompts: number; readonly perPrompt: number }): Answers =>
  Text.prompts({ split: "test", limit: options.prompts }).pipe(
    sample({ policy, perPrompt: options.perPrompt, as: "test-samples", stream: "held-out" })
  )

/** How often one policy's answers are preferred to another's. */
export const contest = (ours: Answers, theirs: Answers, as: string) => ours.pipe(duels({ judge, against: theirs, as }))

/** How far training moved the likelihoods of what it was trained on. */
export const movement = (pairs: Preferences, before: Policy, after: Policy) =>
  pairs.pipe(
    logProbs({ policy: after }),
    likelihoodChange({ before: pairs.pipe(logProbs({ policy: before })), as: "movement" })
  )
