import { assert, describe, it } from "@effect/vitest"
import * as Graph from "../../dsl/Graph.ts"
import type * as Node from "../../dsl/Node.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import dpo from "../../pipelines/direct/dpo.ts"
import simpo from "../../pipelines/direct/simpo.ts"
import * as Tabular from "../../pipelines/testbeds/tabular.ts"
import { exact, simpo as simpoObjective } from "../../stages/index.ts"
import { withPlainDpo } from "./plainDpo.ts"

const outputsOf = (pipeline: Pipeline.Pipeline) => pipeline.outputs({}) as Pipeline.Outputs
const objectiveOf = (node: Node.Any) => node.components.find(({ kind }) => kind === "objective")

describe("plain DPO in place of a method", () => {
  it("is the same graph where the method is DPO", () => {
    const swapped = withPlainDpo(dpo)
    const [own, other] = [outputsOf(dpo), outputsOf(swapped.pipeline)]
    assert.deepStrictEqual([...Graph.fromOutputs(other).byId.keys()], [...Graph.fromOutputs(own).byId.keys()])
    assert.isFalse(Object.keys(own).some(swapped.isTouched))
  })

  it("trains SimPO's policy by DPO, at SimPO's beta and against the policy that it starts from", () => {
    const swapped = withPlainDpo(simpo)
    const { heldOut, policy } = outputsOf(swapped.pipeline)
    assert.deepStrictEqual(
      [policy, heldOut].map((node) => objectiveOf(node!)?.name),
      ["dpo", "dpo"]
    )
    assert.strictEqual(objectiveOf(policy!)?.params["beta"], 2.5)
    assert.strictEqual(policy!.inputs["referenceLogProbs"]!.inputs["policy"], policy!.inputs["from"])
    assert.strictEqual(heldOut!.inputs["referenceLogProbs"]!.inputs["policy"], policy!.inputs["from"])
    assert.isTrue(["policy", "report", "heldOut"].every(swapped.isTouched))
    assert.strictEqual(policy!.inputs["from"], heldOut!.inputs["policy"]!.inputs["from"])
  })

  it("gives exact policies a reference, and turns off what is told by name", () => {
    const pipeline = Pipeline.make("t", { description: "", params: {} }, () => {
      const world = Tabular.world()
      const policy = Tabular.populationOptimum(world, { objective: simpoObjective(), flip: 0.2 })
      return { on: world.pipe(exact.population(), exact.preference({ objective: simpoObjective(), policy })) }
    })
    const { on } = outputsOf(withPlainDpo(pipeline, { "exact.population": { flip: 0 } }).pipeline)
    const { input, policy, reference } = on!.inputs
    assert.strictEqual(policy!.inputs["reference"], policy!.inputs["from"])
    assert.strictEqual(reference, policy!.inputs["reference"])
    assert.deepInclude(policy!.inputs["input"]!.encodedParams, { flip: 0 })
    assert.strictEqual(input!.stage.name, "exact.population")
  })
})
