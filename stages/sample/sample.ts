import { Effect, Stream } from "effect"
import { type CompletionGroup, Completions, Prompts } from "../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import * as Progress from "../../dsl/Progress.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { answers } from "./answers.ts"
import { samplingFields } from "./samplingFields.ts"

/** Prompts decoded together: bounds memory, changes no result. */
const PROMPTS_AT_ONCE = 64

/**
 * Answers each prompt `perPrompt` times; see `answers` for what each answer's draws depend on.
 *
 * @example
 * ```ts
 * import { Pipeline } from "prefline/dsl"
 * import * as Text from "prefline/pipelines/testbeds/text"
 * import { sample } from "prefline/stages"
 *
 * export default Pipeline.make("sampled", { description: "An example", params: {} }, () => {
 *   const reference = Text.policy({ steps: 300 })
 *   const prompts = Text.prompts({ split: "train", limit: 100 })
 *   return { answers: prompts.pipe(sample({ policy: reference, perPrompt: 4, temperature: 0.8 })) }
 * })
 * ```
 */
export const sample = Stage.make({
  name: "sample",
  description: "Answers to prompts, drawn from a policy",
  module: import.meta.url,
  params: { perPrompt: Count.pipe(withDefault(1)), ...samplingFields },
  input: Prompts,
  inputs: { policy: CheckpointFolder },
  output: Completions,
  numerics: true,
  random: true,
  run: ({ input, inputs, params, rng }) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const policy = yield* Policy.load(inputs.policy)
        let done = 0
        let drawn = 0
        return input.stream.pipe(
          Stream.grouped(PROMPTS_AT_ONCE),
          Stream.mapEffect((prompts) =>
            Effect.gen(function* () {
              const byPrompt = yield* answers(policy, prompts, params, rng)
              done += prompts.length
              drawn += byPrompt.flat().reduce((sum, { tokens }) => sum + tokens.length, 0)
              yield* Progress.report({ done, unit: "prompts", tokens: drawn })
              return prompts.map(
                (prompt, p): CompletionGroup => ({
                  prompt,
                  completions: byPrompt[p]!.map(({ finish, tokens }) => ({
                    text: policy.decodeCompletion(tokens),
                    tokens,
                    finish
                  }))
                })
              )
            })
          ),
          Stream.flattenIterable
        )
      })
    )
})
