import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, one, otherPolicy, policy, somePrompts } from "../laws/calls.ts"
import { few, intervals, means, sameMeans } from "../laws/laws.ts"
import { afinn } from "../score/afinn.ts"
import { repetition } from "../score/repetition.ts"
import { wordCount } from "../score/wordCount.ts"
import { evaluate } from "./evaluate.ts"

/** The sides of an evaluation changed: gains change their sign, victories become defeats, the rest its name. */
const turned = (found: Readonly<Record<string, number>>) =>
  Object.fromEntries(
    Object.entries(found)
      .filter(([name]) => name !== "kl")
      .map(([name, mean]) => {
        if (name.endsWith("/gain")) return [name, 0 - mean]
        if (name.endsWith("win_rate")) return [name, 1 - mean]
        const [what, side] = name.split("/")
        return [`${what}/${side === "policy" ? "reference" : "policy"}`, mean]
      })
  )

export const contract = Contract.of(evaluate, {
  given: call({
    params: one<object>(
      { reward: wordCount(), perPrompt: 2, maxTokens: 3 },
      { reward: afinn(), judge: repetition(), maxTokens: 2 }
    ),
    input: somePrompts,
    inputs: { policy, reference: otherPolicy }
  }),
  laws: few(3, [
    intervals,
    StageLaw.related(
      "a policy against itself gains nothing",
      (call) => ({ ...call, inputs: { policy: call.inputs.policy, reference: call.inputs.policy } }),
      (_, self) => {
        const { kl, "reward/gain": gain, win_rate: wins } = means(self)
        return StageLaw.near([kl, gain, wins], [0, 0, 0.5], 1e-5)
      }
    ),
    StageLaw.related(
      "with the sides changed it finds the opposite",
      (call) => ({ ...call, inputs: { policy: call.inputs.reference, reference: call.inputs.policy } }),
      (made, changed) => {
        const { kl: _, ...found } = means(changed)
        return StageLaw.near(turned(means(made)), found, 1e-9)
      }
    ),
    StageLaw.related(
      "does not see the order of the prompts",
      (call) => StageLaw.withInput(call, call.input.toReversed()),
      (made, reversed) => sameMeans(made, reversed, 1e-5)
    ),
    StageLaw.output("gains what the policy has over its reference, and wins a share of the pairs", (made) => {
      const { "reward/gain": gain, "reward/policy": ours, "reward/reference": theirs, win_rate: wins } = means(made)
      if (!(wins! >= 0 && wins! <= 1)) return `wins ${wins}`
      return StageLaw.near(gain, ours! - theirs!, 1e-9)
    }),
    StageLaw.related(
      "the examples quoted change no estimate",
      (call) => StageLaw.withParams(call, { examples: 1 }),
      (made, other, { input }) =>
        other.examples.length !== Math.min(1, input.length) ? "there are others" : sameMeans(made, other, 0)
    )
  ])
})
