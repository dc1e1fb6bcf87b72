import { Effect, Stream } from "effect"
import { type CompletionGroup, Completions } from "../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import * as Progress from "../../dsl/Progress.ts"
import * as Stage from "../../dsl/Stage.ts"
import { generate } from "../../runtime/models/generate.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { draftPrompt, templateFields } from "../pair/draftPrompt.ts"
import { samplingFields } from "./samplingFields.ts"

/** Prompts whose answers are revised together: bounds memory, changes no result. */
const PROMPTS_AT_ONCE = 64

/**
 * Replaces every answer by what a policy makes of it when it is shown as a draft, `rounds` times over; the template is that of
 * `pair.draft-views`.
 * **Details** Prompts keep their ids and texts, answers their number and order, so a revision can be compared with its draft.
 * Answer `i` of a prompt draws from a stream of its own, made of the prompt's id, `i` and the round. Fails with
 * `TokensInvalid` where prompt and draft are longer than the model's context; what is left of it limits the revision.
 * **Source** Choi et al. 2024, arXiv 2406.01660: N-revision.
 */
export const revise = Stage.make({
  name: "sample.revise",
  description: "Answers improved on by a policy that is shown them as drafts",
  module: import.meta.url,
  params: { rounds: Count.pipe(withDefault(1)), ...templateFields, ...samplingFields },
  input: Completions,
  inputs: { policy: CheckpointFolder },
  output: Completions,
  numerics: true,
  random: true,
  run: ({ input, inputs, params: { after, before, rounds, ...sampling }, rng }) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const policy = yield* Policy.load(inputs.policy)
        const options = { ...sampling, stopTokens: [policy.eos] }
        const revised = Effect.fnUntraced(function* (groups: ReadonlyArray<CompletionGroup>, round: number) {
          const requests = groups.flatMap(({ completions, prompt }) =>
            completions.map((draft, i) => ({
              prompt: policy.encodePrompt(draftPrompt(prompt, draft, { after, before })),
              rng: rng.fork(prompt.id).fork(i).fork(round)
            }))
          )
          const generations = yield* generate(policy.model, requests, options)
          let next = 0
          return groups.map(
            ({ completions, prompt }): CompletionGroup => ({
              prompt,
              completions: completions.map(() => {
                const { finish, tokens } = generations[next++]!
                return { text: policy.decodeCompletion(tokens), tokens, finish }
              })
            })
          )
        })
        let done = 0
        return input.stream.pipe(
          Stream.grouped(PROMPTS_AT_ONCE),
          Stream.mapEffect((groups) =>
            Effect.gen(function* () {
              let current: ReadonlyArray<CompletionGroup> = groups
              for (let round = 0; round < rounds; round++) current = yield* revised(current, round)
              done += groups.length
              yield* Progress.report({ done, unit: "prompts" })
              return current
            })
          ),
          Stream.flattenIterable
        )
      })
    )
})
