/** Many pipelines held to their claims at once: nothing is made twice, and nothing that fails takes others with it. */
import { assert, beforeEach, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema } from "effect"
import * as Artifact from "../../../dsl/Artifact.ts"
import type * as Check from "../../../dsl/Check.ts"
import { Index, withDefault } from "../../../dsl/Params.ts"
import * as Pipeline from "../../../dsl/Pipeline.ts"
import * as Stage from "../../../dsl/Stage.ts"
import * as ClaimsRun from "../../../runtime/executor/ClaimsRun.ts"
import type * as Executor from "../../../runtime/executor/Executor.ts"
import { Dispatcher } from "../../../runtime/executor/Task.ts"
import * as Verify from "../../../runtime/executor/Verify.ts"
import * as Support from "./support.ts"

const module = import.meta.url
const source = { module, export: "none" }

let decoded = 0
/** A number whose decoding is counted. */
const Heavy = Artifact.value(
  "heavy",
  Schema.Finite.check(
    Schema.makeFilter(() => {
      decoded++
      return true
    })
  )
)

const heavy = Stage.make({
  name: "heavy",
  description: "A number",
  module,
  params: { number: Index },
  output: Heavy,
  run: ({ params }) => Effect.succeed(params.number)
})

/** Occupies the device until it is let go. */
const occupying = Stage.make({
  name: "occupying",
  description: "Waits on the device",
  module,
  params: {},
  output: Support.Total,
  resource: "device",
  run: () =>
    Effect.gen(function* () {
      yield* Deferred.succeed(Support.gate.entered, undefined)
      yield* Deferred.await(Support.gate.open)
      return 1
    })
})

const quick = Stage.make({
  name: "quick",
  description: "Takes the device for no time",
  module,
  params: {},
  output: Support.Total,
  resource: "device",
  run: () => Effect.succeed(2)
})

type Value = (runs: ReadonlyArray<any>) => number
const check = (
  name: string,
  over: Check.Check["over"],
  value: Value,
  more: Partial<Check.Check> = {}
): Check.Check => ({
  name,
  kind: "exact",
  expected: "positive",
  over,
  measure: (runs) => Effect.sync(() => ({ value: value(runs) })),
  holds: ({ value }) => value > 0,
  ...more
})

/** The sum of 0 to 4 with noise, `scale` times: two nodes that all scales share, and one of its own. */
const sums = (name: string, scale: number, checks: ReadonlyArray<Check.Check>) =>
  Pipeline.make(
    name,
    { description: name, params: { scale: Schema.Finite.pipe(withDefault(scale)) }, checks },
    ({ scale }) => {
      const numbers = Support.count().pipe(Support.noise())
      return { total: numbers.pipe(Support.sum({ scale })), heavy: heavy({ number: 7 }) }
    }
  )
const total: Value = ([run]) => run.outputs.total
const seed = [0, 1]

const hold = Effect.fnUntraced(function* (
  pipelines: ReadonlyArray<Pipeline.Pipeline>,
  options: ClaimsRun.Options = {}
) {
  const prepared = yield* Effect.forEach(pipelines, (pipeline) =>
    ClaimsRun.prepare({ pipeline, source, family: "test" }, options)
  )
  return { prepared, report: yield* ClaimsRun.hold(prepared, options) }
})

const live = <A, E>(name: string, body: () => Effect.Effect<A, E, any>) =>
  it.live(name, () => {
    const store = Support.temporaryStore()
    return body().pipe(Effect.provide(store.layer), Effect.ensuring(Effect.sync(store.remove))) as Effect.Effect<A, E>
  })

beforeEach(() => {
  Support.executions.clear()
  Support.resetGate()
  decoded = 0
})

describe("pipelines held to their claims together", () => {
  live("make what they share once, and count what each would make alone", () =>
    Effect.gen(function* () {
      const over = { seed }
      const one = sums("one", 1, [
        check("a", over, total),
        check("b", over, total),
        check("c", { scale: [1, 3] }, total)
      ])
      const two = sums("two", 2, [check("d", over, total)])
      const { prepared, report } = yield* hold([one, two])
      assert.deepStrictEqual(
        prepared.map(({ sweeps }) => sweeps.map(({ pipeline }) => pipeline)),
        [["one/checks over seed", "one/c"], ["two/d"]]
      )
      // `one`: count, noise of two seeds, their sums at scale 1 and the first at 3, heavy. `two` has two sums of its own.
      assert.deepStrictEqual(
        [...Support.executions],
        [
          ["count", 1],
          ["noise", 2],
          ["sum", 5]
        ]
      )
      assert.deepStrictEqual(
        report.pipelines.map(({ nodes, sharedNodes, status }) => [nodes, sharedNodes, status]),
        [
          [7, 4, "passed"],
          [6, 4, "passed"]
        ]
      )
      assert.deepStrictEqual([report.computed, report.together.nodes, report.apart.nodes], [9, 9, 13])
      assert.strictEqual(report.ratio, 9 / 13)
      assert.lengthOf(ClaimsRun.merged(prepared).nodes, 9)
      const runs = report.pipelines[0]!.checks.map(({ run }) => run)
      assert.deepStrictEqual([runs[0] === runs[1], runs[0] === runs[2]], [true, false])
      const ms = report.pipelines.map(({ ms }) => ms.own + ms.shared)
      assert.strictEqual(report.apart.ms, ms[0]! + ms[1]!)

      const { report: again } = yield* hold([one, two])
      assert.strictEqual(again.computed, 0)
      assert.deepStrictEqual({ ...again, computed: 9, pipelines: [] }, { ...report, pipelines: [] })
      assert.deepStrictEqual(
        again.pipelines.map(({ ms }) => ms),
        report.pipelines.map(({ ms }) => ms)
      )
    })
  )

  live("say of one that fails why, and measure the others", () =>
    Effect.gen(function* () {
      const params = { id: Index.pipe(withDefault(0)) }
      const broken = Pipeline.make(
        "broken",
        { description: "", params, checks: [check("a", { seed }, total), check("b", { id: [1, 2] }, total)] },
        ({ id }) => ({ total: id === 0 ? Support.count().pipe(Support.sum(), strict({ limit: 3 })) : quick() })
      )
      const misbuilt = Pipeline.make(
        "misbuilt",
        { description: "", params, checks: [check("a", { id: [-1] }, total)] },
        () => ({
          total: quick()
        })
      )
      const throwing = Pipeline.make(
        "throwing",
        { description: "", params, checks: [check("a", {}, total)] },
        (): {
          readonly total: ReturnType<typeof quick>
        } => {
          throw new RangeError("no such world")
        }
      )
      const { report } = yield* hold([broken, misbuilt, throwing, sums("well", 1, [check("a", { seed }, total)])])
      assert.deepStrictEqual(
        report.pipelines.map(({ checks, status }) => [status, ...checks.map(({ outcome }) => outcome)]),
        [
          ["failed", "not measured", "pass"],
          ["failed", "not measured"],
          ["failed", "not measured"],
          ["passed", "pass"]
        ]
      )
      const problems = report.pipelines.map(({ checks: [first] }) => first!.problem)
      assert.include(problems[0], "strict (strict) failed: 10 is more than 3")
      assert.include(problems[1], "id")
      assert.deepStrictEqual([problems[2], report.pipelines[2]!.problem], ["no such world", "no such world"])
      assert.deepStrictEqual([report.status, report.pipelines[0]!.checks[0]!.seeds], ["failed", 2])
    })
  )

  live("tell known gaps from failures, and both from gaps that have closed", () =>
    Effect.gen(function* () {
      const knownGap = "too small a world"
      const states = (name: string, checks: ReadonlyArray<Check.Check>) => sums(name, 1, checks)
      const never: Value = () => -1
      const { report } = yield* hold([
        states("honest", [check("a", {}, total), check("b", {}, never, { knownGap })]),
        states("wrong", [check("a", {}, never)]),
        states("better", [check("a", {}, total, { knownGap })]),
        states("numberless", [check("a", {}, () => Number.NaN, { knownGap })]),
        states("faulty", [
          check("a", {}, ([run]) => run.outputs.total.missing.member),
          check("b", {}, total, { holds: () => [].at(0)!["member"] })
        ])
      ])
      assert.deepStrictEqual(
        report.pipelines.map(({ checks, status }) => [status, ...checks.map(({ outcome }) => outcome)]),
        [
          ["passed", "pass", "known gap"],
          ["failed", "fail"],
          ["failed", "gap closed"],
          ["failed", "not measured"],
          ["failed", "not measured", "not measured"]
        ]
      )
      assert.strictEqual(report.pipelines[3]!.checks[0]!.problem, "it came to NaN")
      assert.strictEqual(report.pipelines[0]!.checks[1]!.knownGap, knownGap)
    })
  )

  live("decode only what a check looks at, once, whatever the check makes of having to wait for it", () =>
    Effect.gen(function* () {
      yield* hold([sums("light", 1, [check("a", { seed }, total)])])
      const encoded = decoded
      yield* hold([sums("light", 1, [check("a", { seed }, total)])])
      assert.strictEqual(decoded, encoded)
      const lenient: Value = (runs) => {
        try {
          return runs[0].outputs.heavy + runs[1].outputs.total
        } catch {
          return -1
        }
      }
      const both = [check("a", { seed }, lenient), check("b", { seed }, lenient)]
      const { report } = yield* hold([sums("light", 1, both)])
      assert.strictEqual(decoded, encoded + 1)
      assert.isAbove(report.pipelines[0]!.checks[0]!.measured!.value, 7)
    })
  )

  live("run for a check what it looks at and nothing else, and keep what a failure leaves", () =>
    Effect.gen(function* () {
      const parts = (name: string, checks: ReadonlyArray<Check.Check>) =>
        Pipeline.make(name, { description: "", params: {}, checks }, () => {
          const total = Support.count().pipe(Support.sum())
          return { heavy: heavy({ number: 7 }), refused: total.pipe(strict({ limit: 3 })), total }
        })
      const modest = check("modest", {}, total, { outputs: ["total"] })
      const sly = check("sly", {}, ([run]) => run.outputs.heavy, { outputs: ["total"] })
      const { report } = yield* hold([
        parts("modest", [modest, sly]),
        parts("both", [modest, check("greedy", {}, total)]),
        parts("misnamed", [check("misnamed", {}, total, { outputs: ["sum"] })])
      ])
      assert.deepStrictEqual(
        report.pipelines.map(({ checks, nodes }) => [nodes, ...checks.map(({ outcome }) => outcome)]),
        [
          [2, "pass", "not measured"],
          [4, "pass", "not measured"],
          [0, "not measured"]
        ]
      )
      assert.include(report.pipelines[1]!.checks[1]!.problem, "10 is more than 3")
      assert.include(report.pipelines[2]!.problem, "a check looks at sum[], which is no output")
      const { run } = report.pipelines[0]!.checks[0]!
      const built = yield* Pipeline.build(parts("modest", [modest]), {}, {})
      const verdicts = yield* Verify.verify(run!, built)
      assert.deepStrictEqual(
        verdicts.map(({ id, status }) => [id, status]),
        [
          ["count", "identical"],
          ["sum", "identical"]
        ]
      )
    })
  )

  live("leave the device to others while they wait for what another one makes", () =>
    Effect.gen(function* () {
      const waits = (name: string) =>
        Pipeline.make(name, { description: "", params: {}, checks: [check("a", {}, total)] }, () => ({
          total: occupying()
        }))
      const swift = Pipeline.make("swift", { description: "", params: {}, checks: [check("a", {}, total)] }, () => ({
        total: quick()
      }))
      const done = yield* Deferred.make<void>()
      const listen = (sweep: string) => (event: Executor.Event) =>
        sweep === "swift/a" && event._tag === "NodeEnded"
          ? Effect.asVoid(Deferred.succeed(done, undefined))
          : Effect.void
      const fiber = yield* hold([waits("one"), waits("two"), swift], { listen }).pipe(
        Effect.provideService(Dispatcher, { dispatch: (_task, here) => here, devices: 2 }),
        Effect.forkChild
      )
      yield* Deferred.await(Support.gate.entered)
      yield* Deferred.await(done).pipe(Effect.timeout("5 seconds"))
      yield* Deferred.succeed(Support.gate.open, undefined)
      const { report } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([report.status, report.computed, report.together.nodes], ["passed", 2, 2])
    })
  )
})

class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", { found: Schema.Finite, limit: Schema.Finite }) {
  override get message() {
    return `${this.found} is more than ${this.limit}`
  }
}

const strict = Stage.make({
  name: "strict",
  description: "Refuses what is too much",
  module,
  params: { limit: Schema.Finite },
  input: Support.Total,
  output: Support.Total,
  run: ({ input, params: { limit } }) =>
    input > limit ? Effect.fail(new TooMuch({ found: input, limit })) : Effect.succeed(input)
})
