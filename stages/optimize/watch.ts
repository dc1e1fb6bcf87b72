/** Watching a policy as it is trained: what it answers, beside what it loses. */
import { Effect, Schema } from "effect"
import type { Prompt } from "../../dsl/artifacts.ts"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import type * as Rng from "../../dsl/Rng.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { average } from "../evaluate/estimates.ts"
import { lengthOf, logRatios, rewardsOf, rollouts } from "../evaluate/rollouts.ts"
import { Reward } from "../score/Reward.ts"
import type { LogEntry } from "./loop.ts"

/** Of stages that take prompts to `watch`; without these they count for nothing. */
export const watchFields = {
  /** Steps from one look to the next. */
  watchEvery: Count.pipe(withDefault(20)),
  /** Scores the answers. */
  watchReward: Schema.optionalKey(Reward.schema),
  /** Most tokens of an answer. */
  watchTokens: Count.pipe(withDefault(24))
}

/**
 * What a training policy does with each of the prompts, answered once at temperature 1 and with the same draws at every
 * look: `eval_kl` from the checkpoint that training began with (the mean of `ln policy(y) - ln start(y)`, nats per
 * answer), `eval_length` in tokens, and the mean score of a reward. The start is loaded beside the policy.
 */
export const watching = Effect.fnUntraced(function* (
  policy: Policy.Policy,
  from: Checkpoint,
  prompts: ReadonlyArray<Prompt>,
  params: Schema.Struct.Type<typeof watchFields>,
  rng: Rng.Rng
) {
  const { watchEvery: every, watchReward: reward, watchTokens: maxTokens } = params
  const start = yield* Policy.load(from)
  const measure = Effect.gen(function* () {
    const answers = yield* rollouts(policy, prompts, { perPrompt: 1, maxTokens }, rng.fork("watch"))
    const entry: LogEntry = {
      eval_kl: average((yield* logRatios(policy, start, prompts, answers)).flat()),
      eval_length: average(answers.flat().map(lengthOf))
    }
    if (reward === undefined) return entry
    return { ...entry, eval_reward: average((yield* rewardsOf(reward, prompts, answers)).flat()) } as LogEntry
  })
  return { every, measure }
})
