import { Effect } from "effect"
import type * as Component from "../../dsl/Component.ts"
import type { Duel } from "./Judge.ts"
import type { Answer, Reward, RewardFailed } from "./Reward.ts"
import { scoresOf } from "./scoresOf.ts"

/** A reward's scores of both answers of each duel; an answer that fights several duels is scored once. */
export const duelScores = (
  reward: Component.Component<"reward", Reward, any, any>,
  duels: ReadonlyArray<Duel>
): Effect.Effect<ReadonlyArray<readonly [first: number, second: number]>, RewardFailed> =>
  Effect.suspend(() => {
    const places = new Map<string, number>()
    const answers: Array<Answer> = []
    const placeOf = (prompt: string, completion: string) => {
      const key = JSON.stringify([prompt, completion])
      const known = places.get(key)
      if (known !== undefined) return known
      places.set(key, answers.length)
      return answers.push({ prompt, completion }) - 1
    }
    const met = duels.map(({ first, prompt, second }) => [placeOf(prompt, first), placeOf(prompt, second)] as const)
    return Effect.map(scoresOf(reward, answers), (scores) => met.map(([a, b]) => [scores[a]!, scores[b]!] as const))
  })
