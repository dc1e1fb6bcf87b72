import { NonNegative, Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { simpo } from "../../stages/index.ts"
import * as Text from "../testbeds/text.ts"
import * as textChecks from "../testbeds/textChecks.ts"

export default Pipeline.make(
  "simpo",
  {
    description:
      "Simple Preference Optimization towards positive sentiment: no reference, length-normalized, with a margin",
    paper: { title: "SimPO: Simple Preference Optimization with a Reference-Free Reward", arxiv: "2405.14734" },
    claim:
      "The policy's own mean log-probability, with a target margin, is reward enough: no reference model is needed",
    family: "direct",
    testbed: ["text"],
    params: {
      /** Scale of the implicit reward, and the margin as a share of it. */
      beta: Positive.pipe(withDefault(2.5)),
      gammaBetaRatio: NonNegative.pipe(withDefault(0.5)),
      learningRate: Positive.pipe(withDefault(8e-4)),
      ...Text.scaleFields
    },
    checks: [textChecks.judgeGains(0.05), textChecks.moves, textChecks.heldOutAccuracy]
  },
  ({ baseSteps, beta, gammaBetaRatio, ...scale }) =>
    Text.experiment({
      from: Text.policy({ steps: baseSteps }),
      objective: simpo({ beta, gammaBetaRatio }),
      ...scale
    })
)
