import { assert, describe, it } from "@effect/vitest"
import * as Condense from "../../../runtime/report/condense.ts"
import * as Graph from "../../../runtime/report/graphSvg.ts"
import { toMermaid } from "../../../runtime/report/graphText.ts"

const node = (id: string, stage: string, inputs: Readonly<Record<string, string>> = {}) => ({ id, stage, inputs })

/** A sweep of `copies` trainings on the same data, each evaluated. */
const sweep = (copies: number) => {
  const suffix = (i: number) => (i === 0 ? "" : `-${i + 1}`)
  return [
    node("data", "load"),
    ...Array.from({ length: copies }, (_, i) => [
      node(`policy${suffix(i)}`, "optimize", { input: "data" }),
      node(`report${suffix(i)}`, "evaluate", { input: "data", policy: `policy${suffix(i)}` })
    ]).flat()
  ]
}

describe("condense", () => {
  it("leaves a graph that can be read as it is", () => {
    const nodes = sweep(10)
    const groups = Condense.condense(nodes)
    assert.deepStrictEqual(
      groups.map(({ id }) => id),
      nodes.map(({ id }) => id)
    )
    assert.isTrue(groups.every(({ members }) => members.length === 1))
  })

  it("draws the copies of a sweep as one, with all of them in it", () => {
    const groups = Condense.condense(sweep(2000))
    assert.deepStrictEqual(
      groups.map(({ id, inputs, members }) => [id, members.length, Object.values(inputs)]),
      [
        ["data", 1, []],
        ["policy", 2000, ["data"]],
        ["report", 2000, ["data", "policy"]]
      ]
    )
  })

  it("tells apart what has other inputs, and gives that up only where there is too much of it", () => {
    const chain = [
      node("data", "load"),
      ...Array.from({ length: 300 }, (_, i) =>
        node(`step-${i + 2}`, "optimize", { input: i === 0 ? "data" : `step-${i + 1}` })
      )
    ]
    const kept = Condense.condense(chain, 400)
    assert.lengthOf(kept, 301)
    const groups = Condense.condense(chain, 80)
    assert.deepStrictEqual(
      groups.map(({ members }) => members.length),
      [1, 300]
    )
  })

  it("finds the parts that nothing connects", () => {
    const parts = Condense.components([
      node("a", "x"),
      node("b", "x"),
      node("c", "x", { input: "b" }),
      node("d", "x", { l: "b" })
    ])
    assert.deepStrictEqual(
      parts.map((part) => part.map(({ id }) => id)),
      [["b", "c", "d"], ["a"]]
    )
  })
})

describe("graph texts", () => {
  const hostile = [
    { id: 'a"]:::x<b>', note: "#quot; \u202e", status: "computed" as const, inputs: {} },
    { id: "b", output: true, inputs: { input: 'a"]:::x<b>' } }
  ]

  it("escapes labels in Graphviz' language", () => {
    const dot = Graph.toDot(hostile)
    assert.include(dot, "a&quot;]:::x&lt;b&gt;")
    assert.include(dot, "\\u202e")
    assert.include(dot, "n0 -> n1")
  })

  it("escapes labels in Mermaid", () => {
    const text = toMermaid(hostile)
    assert.include(text, 'n0["a#34;#93;:::x#60;b#62;<br/>#35;quot#59; #92;u202e"]:::computed')
    assert.include(text, 'n1[["b"]]')
    assert.include(text, "n0 --> n1")
  })
})
