/** The experiment: a small model learns English sentences, then to answer with more vowels. */
import { Count, Pipeline, withDefault } from "prefline/dsl"
import * as Text from "prefline/pipelines/testbeds/text"
import { bestWorst, dpo, evaluate, optimize, pair, sample, score } from "prefline/stages"
import { vowels } from "./reward.ts"
import { clipScores } from "./stage.ts"

// `prefline check experiment.ts` checks what this file exports.
export { vowels } from "./reward.ts"
export { clipScores } from "./stage.ts"

export default Pipeline.make(
  "vowels",
  {
    description: "DPO towards vowels",
    params: {
      /** Steps in which the model learns the language, and steps of DPO. */
      pretraining: Count.pipe(withDefault(200)),
      steps: Count.pipe(withDefault(60)),
      prompts: Count.pipe(withDefault(300))
    }
  },
  ({ pretraining, prompts, steps }) => {
    const reference = Text.policy({ steps: pretraining })
    const policy = Text.prompts({ split: "train", limit: prompts }).pipe(
      sample({ policy: reference, perPrompt: 8 }),
      score({ reward: vowels() }),
      clipScores({ bound: 0.6 }),
      pair({ by: bestWorst() }),
      optimize({ from: reference, reference, objective: dpo({ beta: 0.1 }), steps })
    )
    const heldOut = Text.prompts({ split: "test", limit: 100 })
    return { policy, report: heldOut.pipe(evaluate({ policy, reference, reward: vowels() })) }
  }
)
