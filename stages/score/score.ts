import { Effect, Stream } from "effect"
import { type CompletionGroup, Completions, Scored, type ScoredGroup } from "../../dsl/artifacts.ts"
import * as Stage from "../../dsl/Stage.ts"
import { Reward } from "./Reward.ts"
import { scoreAll } from "./scoreAll.ts"

/** Prompts whose answers a reward is given together. */
const PROMPTS_AT_ONCE = 64

/**
 * Scores every answer with a reward.
 * **Details** Prompts and answers keep their order and number. A score that is not finite fails with `ScoreInvalid`:
 * nothing is dropped or replaced. What the reward reads, the answer or the prompt with it, is the reward's own parameter.
 *
 * @example
 * ```ts
 * import { Pipeline } from "prefline/dsl"
 * import * as Text from "prefline/pipelines/testbeds/text"
 * import { afinn, sample, score } from "prefline/stages"
 *
 * export default Pipeline.make("scored", { description: "An example", params: {} }, () => {
 *   const reference = Text.policy({ steps: 300 })
 *   const prompts = Text.prompts({ split: "train", limit: 100 })
 *   return { scored: prompts.pipe(sample({ policy: reference, perPrompt: 4 }), score({ reward: afinn() })) }
 * })
 * ```
 */
export const score = Stage.make({
  name: "score",
  description: "Answers with a reward's scores",
  module: import.meta.url,
  params: { reward: Reward.schema },
  input: Completions,
  output: Scored,
  run: ({ input, params }) =>
    input.stream.pipe(
      Stream.grouped(PROMPTS_AT_ONCE),
      Stream.mapEffect((groups) => scoreGroups(params.reward, groups)),
      Stream.flattenIterable
    )
})

const scoreGroups = Effect.fnUntraced(function* (
  reward: typeof Reward.schema.Type,
  groups: ReadonlyArray<CompletionGroup>
) {
  const asked = groups.map(({ completions, prompt }) => ({
    prompt: prompt.id,
    answers: completions.map(({ text }) => ({ prompt: prompt.text, completion: text }))
  }))
  const scores = yield* scoreAll(reward, asked)
  return groups.map(
    ({ completions, prompt }, g): ScoredGroup => ({
      prompt,
      completions: completions.map((completion, i) => ({ ...completion, score: scores[g]![i]! }))
    })
  )
})
