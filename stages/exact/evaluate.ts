import { Effect } from "effect"
import { type Estimate, type Evaluation, EvaluationReport } from "../../dsl/artifacts.ts"
import { ExactPolicyValue, type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import { NonNegative, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { expectedReward as expectedRewardOf, winRate } from "../../runtime/exact/bandit.ts"
import { divergence, jsd } from "../../runtime/exact/divergences.ts"
import { expectedLength, expectedReward, policyEntropy, policyKl } from "../../runtime/exact/expectations.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { exploitability } from "../../runtime/exact/games.ts"
import { type Numbers, spread, totalVariation } from "../../runtime/exact/numbers.ts"
import { type Policy, responseLogProbs } from "../../runtime/exact/Policy.ts"
import { preferencesOf } from "./population.ts"
import { WorldInvalid } from "./Worlds.ts"

/**
 * What a policy is worth in a world, computed and not sampled. Each estimate is a mean over contexts with no interval
 * (low = high = mean), except those named `max`, the largest over contexts:
 *
 * - `kl` (policy from the world's reference), `kl/reverse`, `entropy`, in nats; `length/policy`, `length/reference` in symbols;
 * - `reward/policy`, `reward/reference` (of symbols, or of objective 0) and for each objective k `reward<k>/policy`,
 *   `reward<k>/reference`;
 * - for bandits: `value`, the reward of objective 0 less `beta` times `kl`; `win_rate` against the reference;
 *   `exploitability`; `jsd`; `implicit_reward/spread`: how far `beta ln(policy / reference) - reward` is from being constant;
 * - with a `target` policy: `target/kl` (target from policy), `target/kl_reverse`, `target/max_error` (probabilities),
 *   `target/max_log_error`, `target/total_variation`, `target/win_rate` (the policy's against the target).
 */
export const evaluate = Stage.make({
  name: "exact.evaluate",
  description: "Exact rewards, divergences and win rates of a policy in a world",
  module: import.meta.url,
  params: { beta: NonNegative.pipe(withDefault(0)) },
  input: WorldValue,
  inputs: { policy: ExactPolicyValue, target: Stage.optional(ExactPolicyValue) },
  output: EvaluationReport,
  run: ({ input: world, inputs, params: { beta } }) =>
    Effect.try({
      try: (): Evaluation => {
        const policy = policyOf(inputs.policy)
        const reference = policyOf(world.reference)
        const target = inputs.target && policyOf(inputs.target)
        const contexts = Array.from({ length: policy.process.contexts }, (_, context) => ({
          ...everywhere(world, context, policy, reference),
          ...(policy.process.horizon === 1
            ? { ...amongResponses(world, context, policy, reference, beta), ...against(world, context, policy, target) }
            : target === undefined
              ? {}
              : {
                  "target/kl": policyKl(target, policy, context),
                  "target/kl_reverse": policyKl(policy, target, context)
                })
        }))
        return { estimates: over(contexts), examples: [] }
      },
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})

type Values = Readonly<Record<string, number>>

const everywhere = ({ tokenRewards }: World, context: number, policy: Policy, reference: Policy): Values => ({
  kl: policyKl(policy, reference, context),
  "kl/reverse": policyKl(reference, policy, context),
  entropy: policyEntropy(policy, context),
  "length/policy": expectedLength(policy, context),
  "length/reference": expectedLength(reference, context),
  ...(tokenRewards === undefined
    ? {}
    : {
        "reward/policy": expectedReward(policy, context, tokenRewards),
        "reward/reference": expectedReward(reference, context, tokenRewards)
      })
})

const amongResponses = (world: World, context: number, policy: Policy, reference: Policy, beta: number): Values => {
  const [ours, theirs] = [responseLogProbs(policy, context), responseLogProbs(reference, context)]
  const rewards = (world.rewards ?? []).map((matrix) => matrix[context]!)
  const preferences = preferencesOf(world, context)
  const [first] = rewards
  return {
    jsd: divergence(jsd, ours, theirs),
    ...Object.fromEntries(
      rewards.flatMap((reward, k) => [
        [`reward${k}/policy`, expectedRewardOf(ours, reward)],
        [`reward${k}/reference`, expectedRewardOf(theirs, reward)]
      ])
    ),
    ...(first === undefined
      ? {}
      : {
          "reward/policy": expectedRewardOf(ours, first),
          "reward/reference": expectedRewardOf(theirs, first),
          value: expectedRewardOf(ours, first) - beta * policyKl(policy, reference, context),
          "implicit_reward/spread": spread(first.map((r, y) => beta * (ours[y]! - theirs[y]!) - r))
        }),
    ...(preferences === undefined
      ? {}
      : {
          win_rate: winRate(probabilities(ours), probabilities(theirs), preferences),
          exploitability: exploitability(preferences, probabilities(ours))
        })
  }
}

const against = (world: World, context: number, policy: Policy, target: Policy | undefined): Values => {
  if (target === undefined) return {}
  const [ours, theirs] = [responseLogProbs(policy, context), responseLogProbs(target, context)]
  const [p, q] = [probabilities(ours), probabilities(theirs)]
  const preferences = preferencesOf(world, context)
  return {
    "target/kl": policyKl(target, policy, context),
    "target/kl_reverse": policyKl(policy, target, context),
    "target/max_error": Math.max(...p.map((x, y) => Math.abs(x - q[y]!))),
    "target/max_log_error": Math.max(...ours.map((x, y) => Math.abs(x - theirs[y]!))),
    "target/total_variation": totalVariation(p, q),
    ...(preferences === undefined ? {} : { "target/win_rate": winRate(p, q, preferences) })
  }
}

const probabilities = (logProbs: Numbers): Float64Array => Float64Array.from(logProbs, Math.exp)

/** Means over contexts; the largest for what is named `max` or `spread`. */
const over = (contexts: ReadonlyArray<Values>): Readonly<Record<string, Estimate>> =>
  Object.fromEntries(
    Object.keys(contexts[0]!).map((name) => {
      const values = contexts.map((values) => values[name]!)
      const isLargest = /max_|spread/.test(name)
      const mean = isLargest ? Math.max(...values) : values.reduce((sum, x) => sum + x, 0) / values.length
      return [name, { mean, low: mean, high: mean, count: values.length }]
    })
  )
