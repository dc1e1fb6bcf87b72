/** What both sides of the end-to-end comparison start from: a policy that has learnt some English, and pairs of its answers. */
import { Count, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import * as Text from "../../pipelines/testbeds/text.ts"

export default Pipeline.make(
  "bench-givens",
  {
    description: "A policy and preference pairs to compare trainers on",
    params: { baseSteps: Count.pipe(withDefault(150)), prompts: Count.pipe(withDefault(400)) }
  },
  ({ baseSteps, prompts }) => {
    const base = Text.policy({ steps: baseSteps })
    return { base, pairs: Text.preferences(base, { split: "train", limit: prompts, perPrompt: 4 }) }
  }
)
