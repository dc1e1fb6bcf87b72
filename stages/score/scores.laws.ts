/** How the stages that score answers are called when their laws are checked. */
import type * as Contract from "../../dsl/Contract.ts"
import * as Rng from "../../dsl/Rng.ts"
import { withHead } from "../../runtime/models/head.ts"
import { call, completion, contractOf, groups, one, policy, scored } from "../laws/calls.ts"
import * as Tiny from "../laws/tiny.ts"
import { afinn } from "./afinn.ts"
import { byReward } from "./byReward.ts"
import { majority } from "./majority.ts"
import { margins } from "./margins.ts"
import { modelScores } from "./modelScores.ts"
import { noise } from "./noise.ts"
import { repetition } from "./repetition.ts"
import { winRates } from "./winRates.ts"
import { wordCount } from "./wordCount.ts"

export const contracts: ReadonlyArray<Contract.Contract> = [
  contractOf(
    winRates,
    call({
      params: one(
        { judge: byReward({ reward: afinn() }) },
        { judge: majority({ rewards: [afinn(), wordCount(), repetition()] }) }
      ),
      input: groups(completion)
    })
  ),
  contractOf(noise, call({ params: one({ deviation: 0.5 }), input: scored })),
  contractOf(
    modelScores,
    call({
      params: one({}, { form: "preference" }),
      input: groups(completion),
      inputs: { model: withHead(policy, 2, 1, Rng.make(0, "head")) }
    })
  ),
  contractOf(margins, one({ params: { reward: wordCount() }, input: Tiny.pairs }))
]
