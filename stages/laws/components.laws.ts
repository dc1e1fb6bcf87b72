/** Parameters of the components that do not have a default for each, and whose schemas do not say what fits together. */
import { Arbitrary } from "effect"
import type * as Component from "../../dsl/Component.ts"
import * as Contract from "../../dsl/Contract.ts"
import { given } from "../exact/worlds/given.ts"
import { logLinear } from "../exact/worlds/logLinear.ts"
import { misspecified } from "../exact/worlds/misspecified.ts"
import { sources } from "../exact/worlds/sources.ts"
import { lengthBounds } from "../filter/lengthBounds.ts"
import { scoreBounds } from "../filter/scoreBounds.ts"
import { dpo } from "../optimize/objectives/dpo.ts"
import { withDegree } from "../optimize/objectives/withDegree.ts"
import { withSft } from "../optimize/objectives/withSft.ts"
import { afinn } from "../score/afinn.ts"
import { length } from "../score/length.ts"
import { majority } from "../score/majority.ts"
import { repetition } from "../score/repetition.ts"
import { weighted } from "../score/weighted.ts"
import { wordCount } from "../score/wordCount.ts"

const fixed = (definition: Component.AnyDefinition, params: object): Contract.Contract =>
  Contract.of(definition, {
    params: Object.fromEntries(Object.entries(params).map(([name, value]) => [name, Arbitrary.Constant(value)]))
  })

const reference = [[0.5, 0.5]]
const preferences = [
  [
    [0.5, 0.7],
    [0.3, 0.5]
  ]
]

export const contracts: ReadonlyArray<Contract.Contract> = [
  fixed(length, { target: 5 }),
  fixed(lengthBounds, { min: 1, max: 4 }),
  fixed(scoreBounds, { min: 0, max: 1 }),
  fixed(weighted, {
    rewards: [
      { reward: afinn(), weight: 1 },
      { reward: wordCount(), weight: -0.02 }
    ]
  }),
  fixed(majority, { rewards: [afinn(), length({ target: 5 }), repetition()], confidence: 0.9 }),
  fixed(given, { reference, rewards: [[[1, 0]]], preferences }),
  fixed(sources, { prompts: 4 }),
  fixed(misspecified, { responses: 20 }),
  fixed(logLinear, { features: [[[1], [0], [2]]], rewards: [[[1, 0, -1]]] }),
  fixed(withDegree, { objective: dpo() }),
  fixed(withSft, { objective: dpo() })
]
