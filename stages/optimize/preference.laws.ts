import { Arbitrary } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { annotated, one, pairs, policy } from "../laws/calls.ts"
import { few, sameWeights } from "../laws/laws.ts"
import { short, training } from "../laws/training.ts"
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
    )
  ])
})
