/** The tournament on language: a small model steered towards positive sentiment, judged by what nothing was trained on. */
import type { PairLogProbs } from "../../dsl/artifacts.ts"
import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { flip as flipped, logProbs, mismatch, triple } from "../../stages/index.ts"
import * as Text from "../testbeds/text.ts"
import { entrants, fields, laidOut } from "./entrants.ts"
import { type Measures, meanOf, type Parts } from "./measures.ts"

export const pipeline = Pipeline.make(
  "tournament-text",
  {
    description: "Methods against each other in steering a small language model towards positive sentiment",
    family: "tournament",
    testbed: ["text"],
    params: { ...fields, learningRate: Positive.pipe(withDefault(8e-4)), ...Text.scaleFields }
  },
  ({ baseSteps, flip, learningRate, methods, steps, strengths, ...amount }) => {
    const from = Text.policy({ steps: baseSteps })
    const scale = { from, ...amount }
    const shared = Text.shared(scale)
    const unseen = shared.preferences("test")
    const made = {
      pairs: shared.preferences("train"),
      mismatched: shared.preferences("train"),
      triples: shared.scored("train").pipe(triple())
    }
    const own = laidOut(entrants("text", { flip, methods, strengths }), ({ contestant, labels, strength }) => {
      const { needs } = contestant
      const labelled = labels === "clean" ? made[needs] : made[needs].pipe(flipped({ rate: flip }))
      const pairs = needs === "mismatched" ? labelled.pipe(mismatch()) : labelled
      const objective = contestant.objective(strength)
      const { policy, report } = Text.experiment({ ...scale, objective, steps, learningRate, pairs })
      return { policy, report, heldOut: unseen.pipe(logProbs({ policy })) }
    })
    return { ...own, "start/heldOut": unseen.pipe(logProbs({ policy: from })) }
  }
)

export default pipeline

export const measure = (own: Parts, start: Parts): Measures => {
  const of = (name: string) => meanOf(own["report"], name)
  return {
    winRate: of("judge/win_rate"),
    gain: of("judge/gain"),
    kl: of("kl"),
    length: of("length/policy") - of("length/reference"),
    displacement: chosen(own["heldOut"]) - chosen(start["heldOut"])
  }
}

/** The mean log-likelihood of the chosen answers. */
const chosen = (annotated: unknown): number => {
  const sums = (annotated as ReadonlyArray<PairLogProbs>).map(({ chosen }) => chosen.reduce((sum, x) => sum + x, 0))
  return sums.reduce((sum, x) => sum + x, 0) / sums.length
}
