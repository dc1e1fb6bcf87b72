import { assert, describe, it } from "@effect/vitest"
import { expectTypeOf } from "vitest"
import type * as Node from "../../../dsl/Node.ts"
import * as Text from "../../../pipelines/testbeds/text.ts"
import type { Device } from "../../../runtime/device/Device.ts"
import { dpo, optimize, simpo } from "../../../stages/index.ts"
import type { NothingToTrainOn } from "../../../stages/optimize/loop.ts"
import type { NoPairs } from "../../../stages/pair/pair.ts"

describe("optimize", () => {
  const from = Text.policy({ steps: 1 })
  const pairs = Text.preferences(from, { split: "train", limit: 1, perPrompt: 2 })

  it("annotates pairs by a node of its own where the objective reads the reference, and only there", () => {
    const aligned = pairs.pipe(optimize({ from, reference: from, objective: dpo(), steps: 1 }))
    assert.strictEqual(aligned.inputs["referenceLogProbs"]?.stage.name, "score.log-probs")
    assert.isUndefined(pairs.pipe(optimize({ from, objective: simpo(), steps: 1 })).inputs["referenceLogProbs"])
  })

  it("collects the failures and services of everything before it", () => {
    const policy = pairs.pipe(optimize({ from, reference: from, objective: dpo(), steps: 1 }))
    expectTypeOf<Node.Services<typeof policy>>().toEqualTypeOf<Device>()
    expectTypeOf<NothingToTrainOn | NoPairs>().toExtend<Node.Error<typeof policy>>()
    expectTypeOf<Node.Error<typeof policy>>().not.toBeUnknown()
  })

  it("wants a reference exactly from objectives that read one", () => {
    const wrong = () => {
      // @ts-expect-error dpo reads the reference
      pairs.pipe(optimize({ from, objective: dpo(), steps: 1 }))
      // @ts-expect-error simpo does not
      pairs.pipe(optimize({ from, reference: from, objective: simpo(), steps: 1 }))
      // @ts-expect-error pairs, not texts
      Text.corpus().pipe(optimize({ from, objective: simpo(), steps: 1 }))
      // @ts-expect-error how many steps?
      pairs.pipe(optimize({ from, objective: simpo() }))
    }
    assert.isFunction(wrong)
  })
})
