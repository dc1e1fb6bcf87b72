import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import { Count, Positive, Probability, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { parseConcurrency } from "../../runtime/cli/flags.ts"
import * as Format from "../../runtime/cli/format.ts"
import * as Parameters from "../../runtime/cli/parameters.ts"

describe("quantities", () => {
  it.each([
    [0, "0 ms"],
    [994.4, "994 ms"],
    [995, "1.0 s"],
    [59_949, "59.9 s"],
    [59_951, "1 min 00 s"],
    [200_000, "3 min 20 s"],
    [3_599_600, "1 h 00 min"],
    [7_500_000, "2 h 05 min"]
  ])("%d ms is %s", (ms, text) => assert.strictEqual(Format.duration(ms), text))

  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [624_600, "624.6 kB"],
    [3_200_000_000, "3.2 GB"]
  ])("%d bytes is %s", (count, text) => assert.strictEqual(Format.bytes(count), text))

  it.each([
    [0, "0"],
    [0.5, "0.500"],
    [-12.345, "-12.3"],
    [1234.56, "1234.6"],
    [400, "400"],
    [0.00001234, "1.23e-5"],
    [12_345_678, "1.23e+7"]
  ])("%d is %s", (x, text) => assert.strictEqual(Format.number(x), text))

  it("columns line up whatever the cells' widths", () => {
    assert.strictEqual(
      Format.table([["a", "b"], ["日本", "x"], ["\u001b[1mbold\u001b[22m"]]),
      "  a     b\n  日本  x\n  \u001b[1mbold\u001b[22m"
    )
  })
})

describe("--concurrency", () => {
  it.each([
    ["4", { cpu: 4, network: 4 }],
    ["cpu=4,network=8", { cpu: 4, network: 8 }],
    ["network=2", { network: 2 }]
  ])("%s", (text, limits) => assert.deepStrictEqual(parseConcurrency(text), Option.some(limits)))

  it.each(["0", "-1", "1.5", "", "cpu", "cpu=0", "cpu=1,cpu=2", "device=2", "gpu=1", "cpu=1,"])("refuses %s", (text) =>
    assert.isTrue(Option.isNone(parseConcurrency(text)))
  )
})

describe("parameters", () => {
  const pipeline = Pipeline.make(
    "all",
    {
      description: "",
      params: {
        beta: Positive.pipe(withDefault(0.1)),
        rounds: Count,
        link: Schema.Literals(["log", "linear"]).pipe(withDefault("log")),
        rate: Schema.optionalKey(Probability),
        sizes: Schema.Array(Schema.Int).pipe(withDefault([1, 2])),
        shape: Schema.Struct({ width: Schema.Finite, deep: Schema.Boolean }),
        stop: Schema.NullOr(Schema.Int)
      }
    },
    () => ({})
  )

  it("are described by type, bounds and default", () =>
    assert.deepStrictEqual(Parameters.describe(pipeline), [
      { name: "beta", type: "number > 0", required: false, default: 0.1 },
      { name: "rounds", type: "integer >= 1", required: true },
      { name: "link", type: '"log" | "linear"', required: false, default: "log" },
      { name: "rate", type: "number from 0 to 1", required: false },
      { name: "sizes", type: "list of integer", required: false, default: [1, 2] },
      { name: "shape", type: "{ width: number, deep: boolean }", required: true },
      { name: "stop", type: "integer | null", required: true },
      { name: "seed", type: "integer from 0 to 2147483647", required: false, default: 0 }
    ]))

  it.effect("cannot reach into an object's prototype", () =>
    Effect.gen(function* () {
      const params = yield* Parameters.fromFlags(['__proto__={"beta":1}', "beta=null"], Option.some(2))
      assert.deepStrictEqual(Object.entries(params), [
        ["seed", 2],
        ["__proto__", { beta: 1 }],
        ["beta", null]
      ])
      assert.strictEqual(Object.getPrototypeOf(params), Object.prototype)
    })
  )
})
