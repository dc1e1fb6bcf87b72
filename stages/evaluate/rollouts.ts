/** A policy's own answers, with what is asked about them: rewards, and log-probabilities under another policy. */
import { Effect } from "effect"
import type { Prompt } from "../../dsl/artifacts.ts"
import type * as Rng from "../../dsl/Rng.ts"
import type { Generation } from "../../runtime/models/generate.ts"
import type * as Policy from "../../runtime/models/Policy.ts"
import { scoreCompletions } from "../../runtime/models/score.ts"
import { answers } from "../sample/answers.ts"
import type { Answer, Reward } from "../score/Reward.ts"
import { scoreAll } from "../score/scoreAll.ts"

/** Values by prompt, then by answer. */
export type ByPrompt<A> = ReadonlyArray<ReadonlyArray<A>>

export interface Rollout extends Answer {
  readonly generation: Generation
}

/** Answers at temperature 1 from the full distribution; see `answers` for what their draws depend on. */
export const rollouts = Effect.fnUntraced(function* (
  policy: Policy.Policy,
  prompts: ReadonlyArray<Prompt>,
  params: { readonly perPrompt: number; readonly maxTokens: number },
  rng: Rng.Rng
) {
  const byPrompt = yield* answers(policy, prompts, { ...params, temperature: 1 }, rng)
  return prompts.map((prompt, p) =>
    byPrompt[p]!.map(
      (generation): Rollout => ({
        prompt: prompt.text,
        completion: policy.decodeCompletion(generation.tokens),
        generation
      })
    )
  )
})

/**
 * `ln policy(y) - ln reference(y)` of the policy's own answers, in nats, the end-of-sequence token included where it was
 * drawn. Their mean estimates the KL divergence without bias.
 */
export const logRatios = Effect.fnUntraced(function* (
  policy: Policy.Policy,
  reference: Policy.Policy,
  prompts: ReadonlyArray<Prompt>,
  answers: ByPrompt<Rollout>
) {
  const rows = prompts.flatMap((prompt, p) =>
    answers[p]!.map(({ generation: { finish, tokens } }) => ({
      prompt: reference.encodePrompt(prompt),
      completion: finish === "stop" ? [...tokens, policy.eos] : tokens
    }))
  )
  const scores = yield* scoreCompletions(reference.model, rows)
  let next = 0
  const sum = (values: Iterable<number>) => Array.from(values).reduce((total, x) => total + x, 0)
  return answers.map((group) => group.map(({ generation }) => sum(generation.logProbs) - sum(scores[next++]!)))
})

/** The answers' scores by a reward. */
export const rewardsOf = (
  reward: typeof Reward.schema.Type,
  prompts: ReadonlyArray<Prompt>,
  answers: ByPrompt<Rollout>
) =>
  scoreAll(
    reward,
    answers.map((group, p) => ({ prompt: prompts[p]!.id, answers: group }))
  )

/** Tokens of an answer, without the end-of-sequence token. */
export const lengthOf = ({ generation }: Rollout): number => generation.tokens.length
