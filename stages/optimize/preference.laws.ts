import { Arbitrary } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { annotated, one, pairs, policy } from "../laws/calls.ts"
import { few, sameWeights } from "../laws/laws.ts"
import * as Tiny from "../laws/tiny.ts"
import { short, training } from "../laws/training.ts"
import { wordCount } from "../score/wordCount.ts"
import { dpo } from "./objectives/dpo.ts"
import { simpo } from "./objectives/simpo.ts"
import { preference } from "./preference.ts"

export const contract = Contract.of(preference, {
  given: Arbitrary.all([pairs, one(true, false)]).pipe(
    Arbitrary.map(([input, withReference]) =>
      withReference
        ? {
            params: { ...short, objective: dpo() },
            input,
            inputs: { from: policy, referenceLogProbs: annotated(input) }
          }
        : { params: { ...short, objective: simpo() }, input, inputs: { from: policy } }
    )
  ),
  laws: few(2, [
    ...training,
    StageLaw.related(
      "pairs of weight 0 count for nothing",
      ({ input, inputs, params }) => {
        const ignored = { ...input[0], id: "ignored", numbers: { weight: 0 } }
        const all = [...input, ignored]
        const known = inputs.referenceLogProbs === undefined ? {} : { referenceLogProbs: annotated(all) }
        return { params, input: all, inputs: { from: inputs.from, ...known } }
      },
      (made, other) => sameWeights(made, other)
    ),
    StageLaw.related(
      "names of pairs change nothing",
      (call) => {
        const renamed = call.input.map((pair: any) => ({ ...pair, id: `${pair.id}'` }))
        const known = call.inputs.referenceLogProbs === undefined ? {} : { referenceLogProbs: annotated(renamed) }
        return { ...call, input: renamed, inputs: { ...call.inputs, ...known } }
      },
      (made, other) => sameWeights(made, other)
    ),
    StageLaw.related(
      "watching it changes no weight, and tells of every look",
      (call) => {
        const watched = StageLaw.withParams(call, { watchEvery: 1, watchReward: wordCount(), watchTokens: 3 })
        return { ...watched, inputs: { ...call.inputs, watch: Tiny.prompts } }
      },
      (made, other, { params }) => {
        const looks = other.trainerState.log_history.filter((entry: object) => "eval_kl" in entry)
        const odd = looks.find((entry: any) => !(entry.eval_length >= 0 && entry.eval_length <= 3))
        if (odd !== undefined) return JSON.stringify(odd)
        const steps = Array.from({ length: params.steps + 1 }, (_, step) => step)
        const told = StageLaw.near([looks.map(({ step }: any) => step), looks[0].eval_kl], [steps, 0], 1e-5)
        return told === true ? sameWeights(made, other) : told
      }
    )
  ])
})
