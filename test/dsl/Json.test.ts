import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Json from "../../dsl/Json.ts"

describe("canonical JSON", () => {
  it.prop("reads back as the value it was written from", [Schema.Json], ([json]) => {
    assert.deepStrictEqual(JSON.parse(Json.canonicalUnsafe(json)), json)
  })

  it.prop("does not depend on the order of members", [Schema.Record(Schema.String, Schema.Json)], ([record]) => {
    const reversed = Object.fromEntries(Object.entries(record).reverse())
    assert.strictEqual(Json.canonicalUnsafe(record), Json.canonicalUnsafe(reversed))
  })

  it.prop("two values share a text exactly if they are equal", [Schema.Json, Schema.Json], ([a, b]) => {
    assert.strictEqual(Json.canonicalUnsafe(a) === Json.canonicalUnsafe(b), Json.differences(a, b).length === 0)
  })

  it("tells apart what joined strings would confuse", () => {
    const values = [
      0,
      -0,
      "0",
      [0],
      [[0]],
      ["0"],
      { a: "b,c" },
      { "a:b": "c" },
      { a: { b: 1 } },
      { "a.b": 1 },
      "",
      [],
      {},
      null,
      false
    ]
    assert.strictEqual(new Set(values.map((value) => Json.canonicalUnsafe(value))).size, values.length)
  })

  it("names where a value has no canonical text", () => {
    assert.throws(() => Json.canonicalUnsafe({ loss: [1, Number.NaN] }), /loss\[1\]: NaN/)
    assert.throws(() => Json.canonicalUnsafe({ a: undefined }), /a: undefined/)
    assert.throws(() => Json.canonicalUnsafe(new Map()), /an instance of Map/)
  })
})

describe("differences", () => {
  it("names each changed, added and removed leaf", () => {
    assert.deepStrictEqual(Json.differences({ a: 1, b: [1, 2], c: "x" }, { a: 1, b: [1, 3], d: null }), [
      { at: "b[1]", left: 2, right: 3 },
      { at: "c", left: "x", right: undefined },
      { at: "d", left: undefined, right: null }
    ])
  })

  it("compares numbers as it is told to", () => {
    const close = (a: number, b: number) => Math.abs(a - b) < 0.1
    assert.deepStrictEqual(Json.differences({ a: [1] }, { a: [1.05] }, close), [])
    assert.strictEqual(Json.differences({ a: [1] }, { a: [1.2] }, close).length, 1)
  })
})
