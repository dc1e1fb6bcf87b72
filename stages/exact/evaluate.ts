import { Effect } from "effect"
import { type Estimate, type Evaluation, EvaluationReport } from "../../dsl/artifacts.ts"
import { type ExactPolicy, ExactPolicyValue, type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { NonNegative, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { expectedReward as expectedRewardOf, klOptimum, winRate } from "../../runtime/exact/bandit.ts"
import { divergence, jsd } from "../../runtime/exact/divergences.ts"
import { expectedLength, expectedReward, policyEntropy, policyKl } from "../../runtime/exact/expectations.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { exploitability } from "../../runtime/exact/games.ts"
import { type Numbers, spread, totalVariation } from "../../runtime/exact/numbers.ts"
import { type Policy, responseLogProbs } from "../../runtime/exact/Policy.ts"
import { expectedMeanReward } from "../../runtime/exact/perSymbol.ts"
import { Bandits, close } from "./generated.ts"
import { preferencesOf } from "./population.ts"
import { WorldInvalid } from "./Worlds.ts"

/**
 * What a policy is worth in a world, computed and not sampled. Each estimate is a mean over contexts with no interval
 * (low = high = mean), except those named `max`, the largest over contexts:
 *
 * - `kl` (policy from the world's reference), `kl/reverse`, `entropy`, in nats; `length/policy`, `length/reference` in symbols;
 * - `reward/policy`, `reward/reference` (of symbols, or of objective 0) and for each objective k `reward<k>/policy`,
 *   `reward<k>/reference`; of sequences, `reward_per_symbol/…`, the mean over an answer's symbols;
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
  laws: [
    Law.make("finds the reference equal to itself", Bandits, ({ world }) => {
      const found = measured(world, world.reference, world.reference, 1)
      const zero = ["kl", "kl/reverse", "jsd", "target/kl", "target/max_error", "target/max_log_error"]
      return zero.every((name) => close(found[name]!.mean, 0, 1e-12)) && close(found["win_rate"]!.mean, 0.5)
    }),
    Law.make("has divergences that are not negative, and 0 for equal policies alone", Bandits, ({ policy, world }) => {
      const { jsd: ours, kl, "kl/reverse": reverse } = measured(world, policy, undefined, 0)
      return [ours, kl, reverse].every((found) => found!.mean >= -1e-12)
    }),
    Law.make("two policies win against each other 1 together", Bandits, ({ other, policy, world }) => {
      const [there, back] = [measured(world, policy, other, 0), measured(world, other, policy, 0)]
      return close(there["target/win_rate"]!.mean + back["target/win_rate"]!.mean, 1)
    }),
    Law.make("no policy is worth more than the optimum of reward and KL", Bandits, ({ policy, world }) => {
      const { contexts, responses } = { contexts: world.rewards![0]!.length, responses: world.rewards![0]![0]!.length }
      const reference = policyOf(world.reference)
      const theta = world.rewards![0]!.flatMap((reward, context) => [
        ...klOptimum(responseLogProbs(reference, context), reward, 0.7).logPolicy
      ])
      const best = measured(world, { family: { kind: "softmax", contexts, responses }, theta }, undefined, 0.7)
      return best["value"]!.mean >= measured(world, policy, undefined, 0.7)["value"]!.mean - 1e-9
    })
  ],
  run: ({ input: world, inputs, params: { beta } }) =>
    Effect.try({
      try: (): Evaluation => ({ estimates: measured(world, inputs.policy, inputs.target, beta), examples: [] }),
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})

/** All estimates. Throws a RangeError where the policies are not of the world. */
const measured = (world: World, own: ExactPolicy, aim: ExactPolicy | undefined, beta: number) => {
  const policy = policyOf(own)
  const reference = policyOf(world.reference)
  const target = aim && policyOf(aim)
  for (const [what, { process }] of [["policy", policy] as const, ...(target ? [["target", target] as const] : [])])
    if (process.contexts !== reference.process.contexts)
      throw new RangeError(`the ${what} has ${process.contexts} contexts, the world ${reference.process.contexts}`)
  const contexts = Array.from({ length: policy.process.contexts }, (_, context) => ({
    ...everywhere(world, context, policy, reference),
    ...(policy.process.horizon === 1
      ? { ...amongResponses(world, context, policy, reference, beta), ...against(world, context, policy, target) }
      : target === undefined
        ? {}
        : { "target/kl": policyKl(target, policy, context), "target/kl_reverse": policyKl(policy, target, context) })
  }))
  return over(contexts)
}

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
        "reward/reference": expectedReward(reference, context, tokenRewards),
        "reward_per_symbol/policy": expectedMeanReward(policy, context, tokenRewards),
        "reward_per_symbol/reference": expectedMeanReward(reference, context, tokenRewards)
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
