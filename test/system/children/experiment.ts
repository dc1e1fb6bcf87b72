/** The shape of a real experiment at a size of seconds: real stages, a model of a few thousand weights. */

import type * as Component from "../../../dsl/Component.ts"
import { Count, Positive, withDefault } from "../../../dsl/Params.ts"
import * as Pipeline from "../../../dsl/Pipeline.ts"
import { evaluate } from "../../../stages/evaluate/evaluate.ts"
import { distinct, filter } from "../../../stages/filter/index.ts"
import { prefixes } from "../../../stages/load/prefixes.ts"
import { sentences } from "../../../stages/load/sentences.ts"
import { untrained } from "../../../stages/load/untrained.ts"
import { dpo } from "../../../stages/optimize/objectives/dpo.ts"
import { optimize } from "../../../stages/optimize/optimize.ts"
import { bestWorst, pair } from "../../../stages/pair/index.ts"
import { sample } from "../../../stages/sample/sample.ts"
import { afinn } from "../../../stages/score/afinn.ts"
import { each, Reward } from "../../../stages/score/Reward.ts"
import { score } from "../../../stages/score/score.ts"
import { vader } from "../../../stages/score/vader.ts"

const nowhere = Reward.define("nowhere", {
  module: import.meta.url,
  description: "No number",
  params: {},
  make: () => each(() => Number.NaN)
})

const named = (name: string, judge: Component.Component<"reward", Reward>) =>
  Pipeline.make(
    name,
    {
      description: "DPO towards positive sentiment, tiny",
      params: {
        beta: Positive.pipe(withDefault(0.1)),
        baseSteps: Count.pipe(withDefault(12)),
        steps: Count.pipe(withDefault(6))
      }
    },
    ({ baseSteps, beta, steps }) => {
      const training = { batchSize: 4, warmupSteps: 2, saveEvery: 4, logEvery: 3 }
      const texts = sentences({ split: "train", lowercase: true, maxWords: 10, limit: 150, as: "texts" })
      const prompts = sentences({ split: "train", lowercase: true, as: "reviews" }).pipe(
        prefixes({ limit: 24, order: "shuffled", as: "prompts" })
      )
      const fresh = texts.pipe(
        optimize.tokenizer({ vocabSize: 320, as: "tokenizer" }),
        untrained({ hiddenSize: 16, intermediateSize: 32, layers: 1, heads: 2, keyValueHeads: 1, as: "fresh" })
      )
      const base = texts.pipe(optimize.supervised({ from: fresh, steps: baseSteps, ...training, as: "base" }))
      const pairs = prompts.pipe(
        sample({ policy: base, perPrompt: 3, maxTokens: 8, as: "samples" }),
        score({ reward: afinn(), as: "scores" }),
        filter({ by: distinct(), as: "distinct" }),
        pair({ by: bestWorst(), as: "pairs" })
      )
      const objective = dpo({ beta })
      const policy = pairs.pipe(
        optimize({ from: base, reference: base, objective, steps, learningRate: 1e-2, ...training, as: "policy" })
      )
      const report = prompts.pipe(
        evaluate({ policy, reference: base, reward: afinn(), judge, perPrompt: 2, maxTokens: 8, as: "report" })
      )
      return { policy, report }
    }
  )

const experiment = named("experiment", vader())
export default experiment

/** Fails at its end, when the judge gives a score that is none. */
export const failing = named("failing", nowhere())

/** Four trainings on what two seeds share. */
export const sweep = Pipeline.sweep({ beta: [0.05, 0.5], seed: Pipeline.Seeds(2) }, experiment)
