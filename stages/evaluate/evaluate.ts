import { Effect, Schema, Stream } from "effect"
import { type Estimate, type Evaluation, EvaluationReport, Prompts } from "../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import { Count, Index, withDefault } from "../../dsl/Params.ts"
import * as Progress from "../../dsl/Progress.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { Reward } from "../score/Reward.ts"
import { average, distinct, estimate, winRate } from "./estimates.ts"
import { type ByPrompt, lengthOf, logRatios, type Rollout, rewardsOf, rollouts } from "./rollouts.ts"

/** There is no prompt to evaluate on. */
export class NothingToEvaluate extends Schema.TaggedError<NothingToEvaluate>()("NothingToEvaluate", {
  what: Schema.String
}) {
  override get message() {
    return `evaluate was given no ${this.what}`
  }
}

/** The policy's tokens mean something else to the reference, so their log-probabilities cannot be compared. */
export class TokenizersDiffer extends Schema.TaggedError<TokenizersDiffer>()("TokenizersDiffer", {}) {
  override get message() {
    return "evaluate was given a reference with another tokenizer than the policy's"
  }
}

/**
 * Compares a policy with its reference on the same prompts, both sampled at temperature 1 from the full distribution
 * and with the same random draws. Estimates are means over prompts, so intervals respect that the answers to one prompt
 * belong together:
 *
 * - `reward/policy`, `reward/reference`, `reward/gain` (their difference, paired by prompt); the same for `judge`, and for
 *   `length` in tokens, without the end-of-sequence token;
 * - `kl`: nats per answer, the mean of `ln policy(y) - ln reference(y)` over the policy's own answers (unbiased);
 * - `win_rate`, `judge/win_rate`: share of pairs (policy's answer i, reference's answer i) won, ties half;
 * - `distinct_1/…`, `distinct_2/…`: over all answers together, without interval (low = high = mean).
 *
 * @example
 * ```ts
 * import { Pipeline } from "prefline/dsl"
 * import * as Text from "prefline/pipelines/testbeds/text"
 * import { evaluate } from "prefline/stages"
 *
 * export default Pipeline.make("evaluated", { description: "An example", params: {} }, () => {
 *   const reference = Text.policy({ steps: 300 })
 *   const policy = Text.policy({ steps: 301 })
 *   const prompts = Text.prompts({ split: "test", limit: 100 })
 *   return { report: prompts.pipe(evaluate({ policy, reference, reward: Text.sentiment, judge: Text.judge })) }
 * })
 * ```
 */
export const evaluate = Stage.make({
  name: "evaluate",
  description: "Reward, KL, win rate, length and diversity of a policy against its reference",
  module: import.meta.url,
  params: {
    reward: Reward.schema,
    /** A second opinion that nothing was trained on. */
    judge: Schema.optionalKey(Reward.schema),
    perPrompt: Count.pipe(withDefault(4)),
    maxTokens: Count.pipe(withDefault(24)),
    /** How many prompts to quote with an answer of each side. */
    examples: Index.pipe(withDefault(5))
  },
  input: Prompts,
  inputs: { policy: CheckpointFolder, reference: CheckpointFolder },
  output: EvaluationReport,
  numerics: true,
  random: true,
  run: ({ input, inputs, params, rng }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const prompts = yield* Stream.runCollect(input.stream)
        if (prompts.length === 0) return yield* new NothingToEvaluate({ what: "prompts" })
        const policy = yield* Policy.load(inputs.policy)
        const reference = yield* Policy.load(inputs.reference)
        if (!sameTokens(policy, reference)) return yield* new TokenizersDiffer()
        const sampling = { perPrompt: params.perPrompt, maxTokens: params.maxTokens }
        const ours = yield* rollouts(policy, prompts, sampling, rng)
        yield* Progress.report({ done: 1, total: 3, unit: "passes" })
        const theirs = yield* rollouts(reference, prompts, sampling, rng)
        yield* Progress.report({ done: 2, total: 3, unit: "passes" })
        const ratios = yield* logRatios(policy, reference, prompts, ours)
        const scores = (reward: typeof params.reward) =>
          Effect.all([rewardsOf(reward, prompts, ours), rewardsOf(reward, prompts, theirs)])
        const rewards = yield* scores(params.reward)
        const judgements = params.judge === undefined ? undefined : yield* scores(params.judge)
        const values: Record<string, ReadonlyArray<number>> = {
          ...compared("reward", "win_rate", ...rewards),
          ...(judgements === undefined ? {} : compared("judge", "judge/win_rate", ...judgements)),
          kl: ratios.map(average),
          ...sides("length", lengths(ours), lengths(theirs))
        }
        const report: Evaluation = {
          estimates: {
            ...Object.fromEntries(Object.entries(values).map(([name, all]) => [name, estimate(all)])),
            ...diversity("policy", ours),
            ...diversity("reference", theirs)
          },
          byPrompt: { prompts: prompts.map(({ id }) => id), values },
          examples: prompts.slice(0, params.examples).map(({ text }, p) => ({
            prompt: text,
            reference: theirs[p]![0]!.completion,
            referenceReward: rewards[1][p]![0]!,
            policy: ours[p]![0]!.completion,
            policyReward: rewards[0][p]![0]!
          }))
        }
        return report
      })
    )
})

const sameTokens = (a: Policy.Policy, b: Policy.Policy): boolean =>
  a.bos === b.bos &&
  a.eos === b.eos &&
  a.tokenizer.vocabSize === b.tokenizer.vocabSize &&
  Array.from({ length: a.tokenizer.vocabSize }).every((_, id) => a.tokenizer.tokenOf(id) === b.tokenizer.tokenOf(id))

/** By prompt. */
const sides = (name: string, ours: ByPrompt<number>, theirs: ByPrompt<number>) => ({
  [`${name}/policy`]: ours.map(average),
  [`${name}/reference`]: theirs.map(average),
  [`${name}/gain`]: ours.map((group, p) => average(group) - average(theirs[p]!))
})

const compared = (name: string, wins: string, ours: ByPrompt<number>, theirs: ByPrompt<number>) => ({
  ...sides(name, ours, theirs),
  [wins]: ours.map((group, p) => winRate(group, theirs[p]!))
})

const lengths = (answers: ByPrompt<Rollout>) => answers.map((group) => group.map(lengthOf))

const diversity = (side: string, answers: ByPrompt<Rollout>): Record<string, Estimate> => {
  const texts = answers.flat().map(({ completion }) => completion)
  const point = (value: number): Estimate => ({ mean: value, low: value, high: value, count: texts.length })
  return {
    [`distinct_1/${side}`]: point(distinct(texts, 1)),
    [`distinct_2/${side}`]: point(distinct(texts, 2))
  }
}
