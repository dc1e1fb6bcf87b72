import { Effect, Schema } from "effect"
import type * as Component from "../../dsl/Component.ts"
import { type Answer, type Reward, RewardFailed } from "./Reward.ts"

/** A reward gave a score that is no finite number. `completion` counts the answers of the prompt from 0. */
export class ScoreInvalid extends Schema.TaggedError<ScoreInvalid>()("ScoreInvalid", {
  reward: Schema.String,
  prompt: Schema.String,
  completion: Schema.Int,
  score: Schema.String
}) {
  override get message() {
    const answer = `answer ${this.completion} of prompt ${JSON.stringify(this.prompt)}`
    return `the reward ${this.reward} scored ${answer} with ${this.score}; a score must be a finite number`
  }
}

/**
 * The scores of groups of answers, group by group, asked for together. Fails with `ScoreInvalid` for a score that is not
 * finite and with `RewardFailed` where the reward does, or where it gives another number of scores than of answers.
 */
export const scoreAll = Effect.fnUntraced(function* (
  reward: Component.Component<"reward", Reward, any, any>,
  groups: ReadonlyArray<{ readonly prompt: string; readonly answers: ReadonlyArray<Answer> }>
): Effect.fn.Return<ReadonlyArray<ReadonlyArray<number>>, RewardFailed | ScoreInvalid> {
  const { implementation, name } = reward
  const answers = groups.flatMap((group) => group.answers)
  const scores = yield* implementation.score(answers)
  if (scores.length !== answers.length) {
    const problem = `gave ${scores.length} scores for ${answers.length} answers`
    return yield* new RewardFailed({ reward: name, problem, retryable: false })
  }
  let next = 0
  const scored: Array<ReadonlyArray<number>> = []
  for (const group of groups) {
    const own = scores.slice(next, next + group.answers.length)
    next += own.length
    const bad = own.findIndex((score) => !Number.isFinite(score))
    if (bad >= 0) {
      return yield* new ScoreInvalid({ reward: name, prompt: group.prompt, completion: bad, score: String(own[bad]) })
    }
    scored.push(own)
  }
  return scored
})
