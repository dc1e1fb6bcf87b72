import { Effect } from "effect"
import type { Prompt } from "../../dsl/artifacts.ts"
import type * as Rng from "../../dsl/Rng.ts"
import { type Generation, generate } from "../../runtime/models/generate.ts"
import type * as Policy from "../../runtime/models/Policy.ts"
import type { Sampling } from "../../runtime/models/sampling.ts"

/**
 * `perPrompt` answers to each prompt, by prompt. Answer `i` of a prompt draws from a stream of its own, made of `rng`, the
 * prompt's id and `i`: adding prompts or answers changes none of the others, and two policies given the same `rng` see
 * the same draws.
 */
export const answers = Effect.fnUntraced(function* (
  policy: Policy.Policy,
  prompts: ReadonlyArray<Prompt>,
  options: Sampling & { readonly perPrompt: number; readonly maxTokens: number },
  rng: Rng.Rng
) {
  const { perPrompt, ...sampling } = options
  const requests = prompts.flatMap((prompt) => {
    const draws = rng.fork(prompt.id)
    return Array.from({ length: perPrompt }, (_, i) => ({ prompt: policy.encodePrompt(prompt), rng: draws.fork(i) }))
  })
  const generations = yield* generate(policy.model, requests, { ...sampling, stopTokens: [policy.eos] })
  return prompts.map((_, p): ReadonlyArray<Generation> => generations.slice(p * perPrompt, (p + 1) * perPrompt))
})
