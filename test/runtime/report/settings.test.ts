import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Pipeline from "../../../dsl/Pipeline.ts"
import * as Settings from "../../../runtime/report/settings.ts"
import { dpo, ipo } from "../../../stages/index.ts"

describe("settings", () => {
  it("takes names apart as sweeps put them together", () => {
    const objectives = [dpo({ beta: 0.1, labelSmoothing: 0.1 }), ipo({ tau: 1 })]
    const names = Pipeline.settings({ beta: [0.1, 1e-7], objective: objectives, seed: [0, 1] }).map(({ name }) => name)
    const parsed = names.map((name) => Settings.parse(`report[${name}]`))
    assert.deepStrictEqual(parsed[0], {
      output: "report",
      setting: { beta: "0.1", objective: "dpo(beta=0.1,labelSmoothing=0.1)", seed: "0" }
    })
    assert.lengthOf(new Set(parsed.map(({ setting }) => Settings.toText(setting))), 8)
    assert.deepStrictEqual(parsed.at(-1)!.setting, {
      beta: "1e-7",
      objective: "ipo(tau=1,lengthNormalized=false)",
      seed: "1"
    })
  })

  it("keeps commas of lists, objects and texts in their values", () => {
    const name = Pipeline.settings({ sources: [["a", "b]"]], text: ["no, never"], weights: [{ x: 1, y: 2 }] })[0]!.name
    assert.deepStrictEqual(Settings.parse(`out[${name}]`).setting, {
      sources: '["a","b]"]',
      text: "no, never",
      weights: '{"x":1,"y":2}'
    })
  })

  it("takes no other name for a setting", () => {
    for (const name of ["report", "a[b", "a[]", "a[b]"])
      assert.deepStrictEqual(Settings.parse(name), { output: name, setting: {} })
  })

  it.prop(
    "numbers come back in their order",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: -1000, maximum: 1000 })))],
    ([numbers]) => {
      const texts = numbers.map(String)
      const sorted = numbers.toSorted((a, b) => a - b).map(String)
      assert.deepStrictEqual(texts.toSorted(Settings.byValue), sorted)
    }
  )

  it("tells which settings need a node", () => {
    const node = (id: string, ...inputs: ReadonlyArray<string>) => ({
      id,
      inputs: Object.fromEntries(inputs.map((input) => [input, input]))
    })
    const nodes = [node("data"), node("a", "data"), node("b", "data"), node("lonely")]
    const reaching = Settings.reaching(nodes, { "out[beta=1,seed=0]": "a", "out[beta=2,seed=0]": "b" })
    assert.deepStrictEqual(reaching.get("data"), [
      { beta: "1", seed: "0" },
      { beta: "2", seed: "0" }
    ])
    assert.deepStrictEqual(Settings.common(reaching.get("data")!), { seed: "0" })
    assert.deepStrictEqual(reaching.get("b"), [{ beta: "2", seed: "0" }])
    assert.deepStrictEqual(reaching.get("lonely"), [])
  })
})
