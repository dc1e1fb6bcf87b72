import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Schema, Stream } from "effect"
import * as Artifact from "../../dsl/Artifact.ts"
import * as Component from "../../dsl/Component.ts"
import * as Graph from "../../dsl/Graph.ts"
import type * as Node from "../../dsl/Node.ts"
import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import * as Stage from "../../dsl/Stage.ts"

const module = import.meta.url
const Numbers = Artifact.records("numbers", Schema.Finite)
const Scale = Component.kind<(x: number) => number>()("scale")
const times = Scale.define("times", {
  module,
  description: "Multiplies",
  params: { factor: Positive.pipe(withDefault(2)) },
  make:
    ({ factor }) =>
    (x) =>
      factor * x
})
const count = Stage.make({
  name: "count",
  description: "0, 1, …",
  module,
  params: { to: Schema.Int.pipe(withDefault(3)) },
  output: Numbers,
  run: ({ params }) => Stream.range(0, params.to - 1)
})
const scale = Stage.make({
  name: "scale",
  description: "Scales",
  module,
  params: { by: Scale.schema.pipe(withDefault(times())) },
  input: Numbers,
  output: Numbers,
  run: ({ input, params }) => Stream.map(input.stream, params.by.implementation)
})
const shuffle = Stage.make({
  name: "shuffle",
  description: "Adds noise",
  module,
  params: {},
  input: Numbers,
  inputs: { other: Stage.optional(Numbers) },
  output: Numbers,
  random: true,
  run: ({ input, rng }) => Stream.map(Stream.zipWithIndex(input.stream), ([x, i]) => x + rng.uniform(i))
})

const demo = Pipeline.make(
  "demo",
  { description: "", params: { to: Schema.Int.pipe(withDefault(3)), factor: Positive.pipe(withDefault(2)) } },
  ({ factor, to }) => {
    const numbers = count({ to })
    return { scaled: numbers.pipe(scale({ by: times({ factor }) })), noisy: numbers.pipe(shuffle()) }
  }
)

const ids = (graph: Graph.Graph) => graph.nodes.map(({ id }) => id)
const failure = (pipeline: Pipeline.Pipeline, params: Record<string, unknown>) =>
  Effect.map(Effect.flip(Pipeline.build(pipeline, params)), ({ message }) => message)

describe("Graph", () => {
  it("holds structurally equal nodes once and gives distinct ones distinct ids", () => {
    const graph = Graph.fromOutputs({
      a: count({ to: 2 }).pipe(scale()),
      b: count({ to: 2 }).pipe(scale({ by: times({ factor: 2 }) })),
      c: count({ to: 3 }).pipe(scale())
    })
    assert.deepStrictEqual(ids(graph), ["count", "scale", "count-2", "scale-2"])
    assert.deepStrictEqual(graph.outputs, { a: "scale", b: "scale", c: "scale-2" })
    assert.deepStrictEqual(graph.byId.get("scale-2")!.inputs, { input: "count-2" })
  })

  it("refuses two stages of one name in one module, which no key could tell apart", () => {
    const make = (value: number) =>
      Stage.make({
        name: "constant",
        description: "",
        module,
        params: {},
        output: Numbers,
        run: () => Stream.succeed(value)
      })
    const [one, two] = [make(1), make(2)]
    assert.throws(() => Graph.fromOutputs({ one: one(), two: two() }), /constant: two stages in .* have this name/)
    assert.strictEqual(Graph.fromOutputs({ one: one(), again: one() }).nodes.length, 1)
  })

  it("finds what depends on a node", () => {
    const numbers = count()
    const noisy = numbers.pipe(shuffle({ other: numbers.pipe(scale()) }))
    const graph = Graph.fromOutputs({ noisy, aside: count({ to: 9 }) })
    assert.deepStrictEqual(Graph.dependants(graph, "scale"), ["shuffle"])
    assert.deepStrictEqual(Graph.dependants(graph, "count"), ["scale", "shuffle"])
  })

  it("lays out a chain of ten thousand nodes", () => {
    const last = Pipeline.iterate(10_000, count() as Node.Node<typeof Numbers, any, any>, (state) =>
      state.pipe(shuffle())
    )
    assert.strictEqual(Graph.fromOutputs({ last }).nodes.length, 10_001)
  })
})

describe("Pipeline", () => {
  it.effect("builds from JSON, with defaults filled in", () =>
    Effect.gen(function* () {
      const built = yield* Pipeline.build(demo, { factor: 5 })
      assert.deepStrictEqual(built.params, { to: 3, factor: 5, seed: 0 })
      assert.deepStrictEqual(built.graph.byId.get("scale")!.node.encodedParams, {
        by: { name: "times", params: { factor: 5 } }
      })
    })
  )

  it.effect("says which parameter is unknown, mistyped or out of range", () =>
    Effect.gen(function* () {
      assert.include(yield* failure(demo, { betta: 1 }), "unknown parameter betta; known: to, factor, seed")
      assert.include(yield* failure(demo, { factor: "two" }), "factor")
      assert.include(yield* failure(demo, { factor: -1 }), "factor")
      assert.include(yield* failure(demo, { seed: 0.5 }), "seed")
    })
  )

  it.effect("refuses members of nested parameters that do not exist, instead of going on with their defaults", () =>
    Effect.gen(function* () {
      const nested = Pipeline.make(
        "nested",
        {
          description: "",
          params: {
            model: Schema.Struct({ width: Schema.Int, depth: Schema.optionalKey(Schema.Int) }),
            by: Scale.schema.pipe(withDefault(times()))
          }
        },
        ({ by }) => ({ out: count().pipe(scale({ by })) })
      )
      const model = { width: 1 }
      assert.include(yield* failure(nested, { model: { width: 1, dept: 2 } }), '["model"]["dept"]')
      assert.include(yield* failure(nested, { model, by: { name: "times", factor: 3 } }), '["factor"]')
      assert.include(yield* failure(nested, { model, by: { name: "times", params: { factr: 3 } } }), '["factr"]')
      assert.throws(() => nested.outputs({ model: Object.assign({ dept: 2 }, model) }), /\["model"\]\["dept"\]/)
      assert.strictEqual((yield* Pipeline.build(nested, { model })).graph.nodes.length, 2)
    })
  )

  it.effect("refuses outputs that are no nodes", () =>
    Effect.gen(function* () {
      const returning = (outputs: unknown) =>
        failure(
          Pipeline.make("odd", { description: "", params: {} }, () => outputs as {}),
          {}
        )
      assert.include(yield* returning(Promise.resolve({ numbers: count() })), "returns, at once, an object of nodes")
      assert.include(yield* returning(undefined), "an object of nodes")
      assert.include(yield* returning(count()), "an object of nodes")
      assert.include(yield* returning({ scaled: scale() }), "scaled is not a node: its stage was given no input")
    })
  )

  it("leaves the seed to the runtime", () => {
    const seeded = () =>
      Pipeline.make("seeded", { description: "", params: { seed: Schema.Int.pipe(withDefault(7)) } }, () => ({}))
    assert.throws(seeded, /every pipeline has the parameter seed/)
  })

  it.effect("the seed reaches the nodes that draw, and no others", () =>
    Effect.gen(function* () {
      const { graph } = yield* Pipeline.build(demo, { seed: 4 })
      assert.deepStrictEqual(graph.byId.get("shuffle")!.node.random, { seed: 4, stream: "shuffle" })
      assert.isUndefined(graph.byId.get("scale")!.node.random)
    })
  )

  it.effect("iterate: each round has its own nodes and random streams", () =>
    Effect.gen(function* () {
      const loop = Pipeline.make("loop", { description: "", params: {} }, () => ({
        end: Pipeline.iterate(3, count() as Node.Node<typeof Numbers, any, any>, (state) => state.pipe(shuffle()))
      }))
      const { graph } = yield* Pipeline.build(loop)
      assert.deepStrictEqual(ids(graph), ["count", "shuffle", "shuffle-2", "shuffle-3"])
      const streams = graph.nodes.flatMap(({ node }) => (node.random === undefined ? [] : [node.random.stream]))
      assert.deepStrictEqual(streams, ["shuffle/0", "shuffle/1", "shuffle/2"])
    })
  )

  it.effect("sweep: one graph, in which what does not depend on the swept parameter appears once", () =>
    Effect.gen(function* () {
      const { graph } = yield* Pipeline.build(Pipeline.sweep({ factor: [1, 2, 3], seed: Pipeline.Seeds(2) }, demo))
      const stages = graph.nodes.map(({ node }) => node.stage.name)
      assert.strictEqual(stages.filter((name) => name === "count").length, 1)
      assert.strictEqual(stages.filter((name) => name === "scale").length, 3)
      assert.strictEqual(stages.filter((name) => name === "shuffle").length, 2)
      assert.strictEqual(graph.outputs["scaled[factor=2,seed=0]"], graph.outputs["scaled[factor=2,seed=1]"])
      assert.notStrictEqual(graph.outputs["noisy[factor=2,seed=0]"], graph.outputs["noisy[factor=2,seed=1]"])
    })
  )

  it("sweep: settings have names of their own, also where components differ in a parameter only", () => {
    const names = Pipeline.settings({ by: [times({ factor: 1 }), times({ factor: 2 })], n: [1] }).map(
      ({ name }) => name
    )
    assert.deepStrictEqual(names, ["by=times(factor=1),n=1", "by=times(factor=2),n=1"])
    assert.throws(() => Pipeline.settings({ n: [1, 2, 1] }), /the setting n=1 is there twice/)
  })

  it.effect("sweep: takes what it sweeps away from the parameters, and nothing that is none", () =>
    Effect.gen(function* () {
      const needy = Pipeline.make("needy", { description: "", params: { factor: Positive } }, ({ factor }) => ({
        scaled: count().pipe(scale({ by: times({ factor }) }))
      }))
      const swept = Pipeline.sweep({ factor: [1, 2] }, needy)
      assert.deepStrictEqual((yield* Pipeline.build(swept)).params, { seed: 0 })
      assert.include(yield* failure(swept, { factor: 5 }), "unknown parameter factor; known: seed")
      assert.include(yield* failure(Pipeline.sweep({ betta: [1, 2] } as never, demo), {}), '["betta"]')
      assert.include(yield* failure(Pipeline.sweep({ factor: [] }, demo), {}), "factor has no values")
    })
  )

  it.effect("a grid can be written down as JSON, components too, and builds the same graph as the sweep", () =>
    Effect.gen(function* () {
      const chosen = Pipeline.make(
        "chosen",
        { description: "", params: { by: Scale.schema.pipe(withDefault(times())), to: Schema.Int } },
        ({ by, to }) => ({ scaled: count({ to }).pipe(scale({ by })) })
      )
      const grid = { by: [times({ factor: 1 }), times({ factor: 3 })], seed: [4] }
      const encoded = yield* Pipeline.encodeGrid(chosen, grid)
      assert.deepStrictEqual<object>(encoded, {
        by: [1, 3].map((factor) => ({ name: "times", params: { factor } })),
        seed: [4]
      })
      const written = JSON.parse(JSON.stringify(encoded))
      const again = yield* Pipeline.build(chosen, { to: 2 }, written)
      const swept = yield* Pipeline.build(Pipeline.sweep(grid, chosen), { to: 2 })
      assert.deepStrictEqual(again.graph.outputs, swept.graph.outputs)
      assert.deepStrictEqual(
        again.graph.nodes.map(({ node }) => node.encodedParams),
        swept.graph.nodes.map(({ node }) => node.encodedParams)
      )
      assert.deepStrictEqual([again.params, again.grid, swept.grid], [{ to: 2 }, encoded, undefined])

      // Whichever way its names are written, a grid gives the same nodes.
      const shuffled = Pipeline.make("shuffled", { description: "", params: { to: Schema.Int } }, ({ to }) => ({
        shuffled: count({ to }).pipe(shuffle())
      }))
      const [one, other] = [
        yield* Pipeline.build(shuffled, {}, { seed: [4, 5], to: [2, 3] }),
        yield* Pipeline.build(shuffled, {}, { to: [2, 3], seed: [4, 5] })
      ].map(({ graph }) => graph.nodes.map(({ id, inputs, node }) => [id, inputs, node.encodedParams, node.random]))
      assert.strictEqual(one!.length, 6)
      assert.deepStrictEqual(one, other)

      const refused = (grid: Pipeline.EncodedGrid) =>
        Effect.map(Effect.flip(Pipeline.build(chosen, { to: 2 }, grid)), ({ message }) => message)
      assert.include(yield* refused({ bye: [1] }), 'unknown parameter ["bye"] in the grid; known: by, to, seed')
      assert.include(yield* refused({ by: ["thrice"] }), "is not known; known: times")
      assert.include(yield* refused({ by: [] }), "by has no values")
      assert.include(yield* refused({ to: [1] }), "unknown parameter to")
      assert.include((yield* Effect.flip(Pipeline.encodeGrid(chosen, { seed: ["x"] }))).message, '["seed"]')
    })
  )

  it("refuses names that would be unsafe in a path", () => {
    assert.throws(() => Pipeline.make("../up", { description: "", params: {} }, () => ({})), /is no name/)
    assert.throws(() => count({ as: "a/b" }), /is no name/)
    assert.throws(() => shuffle({ stream: "" }), /is no name/)
  })
})

describe("Stage", () => {
  it("finds the components in collections too, so that their code enters keys", () => {
    const mixture = Stage.make({
      name: "mixture",
      description: "",
      module,
      params: {
        list: Schema.Array(Scale.schema),
        map: Schema.ReadonlyMap(Schema.String, Scale.schema),
        option: Schema.Option(Scale.schema)
      },
      output: Numbers,
      run: () => Stream.empty
    })
    const by = times({ factor: 3 })
    const { components } = mixture({ list: [by], map: new Map([["a", by]]), option: Option.some(by) })
    assert.deepStrictEqual(
      components.map(({ name }) => name),
      ["times", "times", "times"]
    )
  })

  it("names an unknown parameter, a missing or wrong input, in words", () => {
    const loose = scale as unknown as (config: object) => (input: unknown) => unknown
    assert.throws(() => loose({ buy: 1 }), /scale: unknown parameter "buy"; known: by/)
    assert.throws(() => loose({})(undefined), /the input input must be a node that makes numbers/)
    assert.throws(() => loose({ by: "times" }), /scale/)
    assert.throws(() => (count as unknown as (config: object) => unknown)({ to: "3" }), /count.*to/s)
  })

  it("with numerics takes the device, and no other resource", () => {
    const make = (resource?: Stage.Resource) =>
      Stage.make({
        name: "tensors",
        description: "",
        module,
        params: {},
        output: Numbers,
        numerics: true,
        ...(resource === undefined ? {} : { resource }),
        run: () => Stream.empty
      })
    assert.strictEqual(make().stage.resource, "device")
    assert.throws(() => make("cpu"), /its resource is the device, not cpu/)
  })

  it("refuses parameters named like its inputs", () => {
    const define = () =>
      Stage.make({
        name: "bad",
        description: "",
        module,
        params: { as: Schema.Int },
        output: Numbers,
        run: () => Stream.empty
      })
    assert.throws(define, /reserved word/)
  })
})

describe("Component", () => {
  it("is its kind, name and parameters as data, and its implementation by name", () => {
    const twice = times({ factor: 2 })
    assert.deepStrictEqual([twice.kind, twice.name, twice.params], ["scale", "times", { factor: 2 }])
    assert.strictEqual(twice.implementation(4), 8)
  })

  it.effect("decodes from JSON, or from its bare name where every parameter has a default", () =>
    Effect.gen(function* () {
      const decode = Schema.decodeUnknownEffect(Schema.toCodecJson(Scale.schema) as typeof Scale.schema)
      assert.deepStrictEqual((yield* decode({ name: "times", params: { factor: 7 } })).params, { factor: 7 })
      assert.deepStrictEqual((yield* decode("times")).params, { factor: 2 })
      assert.include((yield* Effect.flip(decode("divide"))).message, 'scale "divide": is not known; known: times')
      assert.include((yield* Effect.flip(decode({ name: "times", params: { factor: 0 } }))).message, "factor")
    })
  )

  it("refuses unknown parameters and a second definition elsewhere", () => {
    assert.throws(
      () => (times as unknown as (params: object) => unknown)({ by: 1 }),
      /unknown parameter by; known: factor/
    )
    const again = () =>
      Scale.define("times", { module: "file:///other.ts", description: "", params: {}, make: () => (x) => x })
    assert.throws(again, /is defined twice/)
    const copied = () => Scale.define("times", { module, description: "", params: {}, make: () => (x) => -x })
    assert.throws(copied, /is defined twice/)
  })
})
