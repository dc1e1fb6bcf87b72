import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { dpo, labelSmoothingField } from "../../stages/index.ts"
import * as Text from "../testbeds/text.ts"
import * as textChecks from "../testbeds/textChecks.ts"

export default Pipeline.make(
  "dpo",
  {
    description: "Direct Preference Optimization towards positive sentiment, from a model trained from nothing",
    paper: {
      title: "Direct Preference Optimization: Your Language Model is Secretly a Reward Model",
      arxiv: "2305.18290"
    },
    claim:
      "A classification loss on pairs solves the KL-constrained reward problem: the policy gains reward, and beta sets how far it moves",
    params: {
      /** Strength of the KL constraint. */
      beta: Positive.pipe(withDefault(0.1)),
      labelSmoothing: labelSmoothingField,
      learningRate: Positive.pipe(withDefault(8e-4)),
      ...Text.scaleFields
    },
    checks: [
      textChecks.judgeGains(0.05),
      textChecks.moves,
      textChecks.heldOutAccuracy,
      textChecks.lowerBetaMovesFurther([0.1, 0.5])
    ]
  },
  ({ baseSteps, beta, labelSmoothing, ...scale }) =>
    Text.experiment({
      from: Text.policy({ steps: baseSteps }),
      objective: dpo({ beta, labelSmoothing }),
      ...scale
    })
)
