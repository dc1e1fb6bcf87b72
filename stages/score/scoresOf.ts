import { Effect } from "effect"
import type * as Component from "../../dsl/Component.ts"
import { type Answer, type Reward, RewardFailed } from "./Reward.ts"
import { scoreAll } from "./scoreAll.ts"

/** A reward's scores of answers, for components that ask one themselves: a score that is not finite is its failure. */
export const scoresOf = (
  reward: Component.Component<"reward", Reward, any, any>,
  answers: ReadonlyArray<Answer>
): Effect.Effect<ReadonlyArray<number>, RewardFailed> =>
  scoreAll(reward, [{ prompt: answers[0]?.prompt ?? "", answers }]).pipe(
    Effect.map(([scores]) => scores!),
    Effect.catchTag("ScoreInvalid", ({ completion, score }) =>
      Effect.fail(
        new RewardFailed({
          reward: reward.name,
          problem: `scored answer ${completion} with ${score}`,
          retryable: false
        })
      )
    )
  )
