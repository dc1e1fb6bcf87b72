import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, one, policy, someTexts } from "../laws/calls.ts"
import { few, sameWeights } from "../laws/laws.ts"
import { short, training } from "../laws/training.ts"
import { supervised } from "./supervised.ts"

export const contract = Contract.of(supervised, {
  given: call({
    params: one<object>(short, { ...short, batchSize: 3, microBatchSize: 2 }),
    input: someTexts,
    inputs: { from: policy }
  }),
  laws: few(2, [
    ...training,
    StageLaw.related(
      "names and labels of texts change nothing",
      (call) =>
        StageLaw.withInput(
          call,
          call.input.map(({ id, text }: any) => ({ id: `${id}'`, text, label: 1 }))
        ),
      (made, other) => sameWeights(made, other)
    ),
    StageLaw.related(
      "trained on all texts, its loss falls",
      (call) =>
        StageLaw.withParams(call, { steps: 4, batchSize: call.input.length, logEvery: 1, finalLearningRate: 1 }),
      (_, { trainerState }) => {
        const losses = trainerState.log_history.map(({ loss }: any) => loss)
        return losses.at(-1) < losses[0] || losses.join()
      }
    )
  ])
})
