import { PassThrough } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Graph from "../../dsl/Graph.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import * as Merged from "../../runtime/cli/claims/merged.ts"
import * as Display from "../../runtime/cli/display/Display.ts"
import * as History from "../../runtime/cli/display/history.ts"
import { fromStream } from "../../runtime/cli/Output.ts"
import type { Event } from "../../runtime/executor/Executor.ts"
import { sha256 } from "../../runtime/store/ArtifactRef.ts"
import * as Journal from "../../runtime/store/Journal.ts"
import { Store } from "../../runtime/store/Store.ts"
import { folder } from "../runtime/store/scratch.ts"
import { fakeTerminal } from "./fakeTerminal.ts"
import { slow } from "./fixtures/tiny.ts"
import { memorySink } from "./memorySink.ts"

const begun: Event = { _tag: "Started", run: "20260101-000000-abcdef", graph: Graph.fromOutputs({}) }
const started = (node: string): Event => ({ _tag: "NodeStarted", node, attempt: 1 })
const progress = (node: string, done: number): Event => ({
  _tag: "NodeProgress",
  node,
  report: { done, total: 100, unit: "steps", metrics: { loss: 2.5 } }
})
const ended = (id: string, status: "computed" | "cached" | "skipped"): Event => ({
  _tag: "NodeEnded",
  result: { id, stage: "stage", key: undefined, status, ms: 3200, output: undefined },
  failure: undefined
})

describe("in a pipe", () => {
  it.effect("a line for each event, and one for progress at most every five seconds", () =>
    Effect.gen(function* () {
      const { sink, writes } = memorySink()
      const listen = yield* Display.make(sink)
      yield* listen(begun)
      yield* listen(started("base"))
      for (let done = 1; done <= 24; done++) {
        yield* TestClock.adjust("500 millis")
        yield* listen(progress("base", done))
      }
      yield* listen(ended("base", "computed"))
      yield* listen(ended("pairs", "skipped"))
      assert.deepStrictEqual(writes, [
        "run 20260101-000000-abcdef: 0 nodes\n",
        "> base\n",
        "  base  10/100 steps  loss 2.50  5.0 s  2.00 steps/s  45.0 s left\n",
        "  base  20/100 steps  loss 2.50  10.0 s  2.00 steps/s  40.0 s left\n",
        "✓ base  computed 3.2 s\n",
        "- pairs  skipped: an input was not made\n"
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("rates count from the first report: a resumed computation does not begin at zero", () =>
    Effect.gen(function* () {
      const { sink, writes } = memorySink()
      const listen = yield* Display.make(sink)
      yield* listen(started("base"))
      yield* TestClock.adjust("1 second")
      yield* listen(progress("base", 80))
      yield* TestClock.adjust("4 seconds")
      yield* listen(progress("base", 84))
      assert.strictEqual(writes.at(-1), "  base  84/100 steps  loss 2.50  5.0 s  1.00 steps/s  16.0 s left\n")
    }).pipe(Effect.scoped)
  )

  it.effect("what an error says cannot move the cursor", () =>
    Effect.gen(function* () {
      const { sink, text } = memorySink()
      const listen = yield* Display.make(sink)
      yield* listen({ _tag: "NodeRetried", node: "base", attempt: 1, error: "no\u001b[2J luck" })
      assert.strictEqual(text(), "! base  attempt 1 failed, trying again: no\\u001b[2J luck\n")
    }).pipe(Effect.scoped)
  )
})

describe("on a terminal", () => {
  it.effect("running nodes are redrawn below the lines that stay", () =>
    Effect.gen(function* () {
      const terminal = fakeTerminal({ columns: 80, rows: 24 })
      const listen = yield* Display.make(terminal.sink)
      yield* listen(started("base"))
      yield* listen(started("other"))
      yield* TestClock.adjust("1 second")
      yield* listen(progress("base", 10))
      yield* TestClock.adjust("1 second")
      yield* listen(progress("base", 20))
      yield* TestClock.adjust("100 millis")
      const [base, other] = terminal.rows()
      assert.include(base!, "base  20/100 steps  loss 2.50  2.1 s  10.0 steps/s  7.9 s left")
      assert.match(other!, /^. other {2}2\.1 s$/)
      yield* listen(ended("other", "cached"))
      const [stays, below] = terminal.rows()
      assert.strictEqual(stays, "= other  cached")
      assert.include(below!, "base  20/100 steps")
    }).pipe(Effect.scoped)
  )

  it.effect("the loss, the learning rate and tokens a second stand where the node tells them", () =>
    Effect.gen(function* () {
      const terminal = fakeTerminal({ columns: 120, rows: 24 })
      const listen = yield* Display.make(terminal.sink)
      yield* listen(started("base"))
      const metrics = { loss: 2.5, learning_rate: 8e-4, "rewards/margins": 0.25 }
      for (const [i, tokens] of [0, 500].entries()) {
        const report = { done: i + 1, total: 10, unit: "steps", tokens, metrics }
        yield* listen({ _tag: "NodeProgress", node: "base", report })
        yield* TestClock.adjust("1 second")
      }
      const shown =
        "2/10 steps  loss 2.50  lr 0.000800  2.0 s  1.00 steps/s  500 tokens/s  7.0 s left  rewards/margins 0.250"
      assert.include(terminal.rows()[0]!, shown)
    }).pipe(Effect.scoped)
  )

  it.effect("at most ten drawings a second, however often a stage reports", () =>
    Effect.gen(function* () {
      const { sink, writes } = fakeTerminal({ columns: 80, rows: 24 })
      const listen = yield* Display.make(sink)
      yield* listen(started("base"))
      const before = writes.length
      for (let done = 0; done < 1000; done++) {
        yield* TestClock.adjust("1 millis")
        yield* listen(progress("base", done))
      }
      assert.isAtLeast(writes.length - before, 5)
      assert.isAtMost(writes.length - before, 10)
    }).pipe(Effect.scoped)
  )

  it.effect("no line wraps, and many nodes do not fill the screen", () =>
    Effect.gen(function* () {
      const terminal = fakeTerminal({ columns: 30, rows: 24 })
      const listen = yield* Display.make(terminal.sink)
      for (let node = 0; node < 20; node++) yield* listen(started(`a-node-with-quite-a-long-name-${node}`))
      yield* TestClock.adjust("1 second")
      const rows = terminal.rows()
      assert.strictEqual(rows.at(-2), "  and 12 more")
      assert.strictEqual(rows.length, 10)
      assert.isTrue(rows.every((row) => row.length < 30))
    }).pipe(Effect.scoped)
  )

  it.effect("on a low terminal nothing scrolls away that has to be redrawn", () =>
    Effect.gen(function* () {
      const terminal = fakeTerminal({ columns: 80, rows: 5 })
      const listen = yield* Display.make(terminal.sink)
      for (let node = 0; node < 20; node++) yield* listen(started(`node-${node}`))
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(
        terminal.rows().map((row) => row.slice(2)),
        ["node-0  3.0 s", "node-1  3.0 s", "and 18 more", ""]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("a terminal that is made narrower, or wider, keeps no rest of the lines before", () =>
    Effect.gen(function* () {
      const terminal = fakeTerminal({ columns: 80, rows: 24 })
      const listen = yield* Display.make(terminal.sink)
      yield* listen(started("base"))
      yield* listen(started("other"))
      yield* TestClock.adjust("1 second")
      yield* listen(progress("base", 10))
      yield* TestClock.adjust("1 second")
      yield* listen(progress("base", 20))
      yield* TestClock.adjust("1 second")
      terminal.resize(20)
      assert.isAbove(terminal.rows().length, 3)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        terminal.rows().map((row) => row.slice(2)),
        ["base  20/100 ste…", "other  4.0 s", ""]
      )
      terminal.resize(60)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(terminal.rows().length, 3)
    }).pipe(Effect.scoped)
  )

  it.effect("nothing that was running stays when the run is interrupted, nor the ^C that the terminal echoes", () =>
    Effect.gen(function* () {
      const terminal = fakeTerminal({ columns: 80, rows: 24 })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const listen = yield* Display.make(terminal.sink)
          yield* listen(ended("texts", "cached"))
          yield* listen(started("base"))
          yield* TestClock.adjust("1 second")
          terminal.echo("^C")
        })
      )
      assert.deepStrictEqual(terminal.rows(), ["= texts  cached", ""])
    })
  )
})

describe("how far the whole run is", () => {
  const graph = Effect.runSync(Pipeline.build(slow, { milliseconds: 1000 })).graph

  const runBefore = Effect.gen(function* () {
    const ids = graph.nodes.map(({ id }) => id)
    const { root } = yield* Store
    const journal = yield* Journal.open(root)
    const source = { module: "file:///tiny.ts", export: "slow" }
    const versions = { prefline: "0.1.0", node: "v24", effect: "4.1.0" }
    const nodes = graph.nodes.map(({ id, inputs, node }) => ({ id, stage: node.stage.name, inputs }))
    const about = {
      run: journal.run,
      pipeline: "slow",
      source,
      params: {},
      numerics: null,
      versions,
      nodes,
      outputs: {}
    }
    yield* journal.append({ _tag: "RunStarted", ...about })
    const output = { artifact: "prompts", digest: sha256("o"), files: [] }
    for (const node of ids) {
      const ms = node === "wait" ? 20_000 : 10
      yield* journal.append({ _tag: "NodeFinished", node, key: sha256(node), status: "computed", output, ms })
    }
  }).pipe(Effect.scoped)

  const withStore = <A, E>(effect: Effect.Effect<A, E, Store | Scope.Scope>) =>
    Effect.flatMap(folder, (root) => Effect.provide(effect, Store.layer(root))).pipe(Effect.scoped)

  it.effect("nodes done of all, a bar, and about the time that the same stages took before", () =>
    withStore(
      Effect.gen(function* () {
        yield* runBefore
        const terminal = fakeTerminal({ columns: 80, rows: 24 })
        const listen = yield* Display.make(terminal.sink)
        yield* listen({ _tag: "Started", run: "20260101-000000-abcdef", graph })
        yield* listen(ended("words", "computed"))
        yield* listen(ended("decorate", "computed"))
        yield* listen(started("wait"))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(
          terminal.rows().at(-2),
          `${"█".repeat(16)}${"░".repeat(8)}  2/3 nodes  5.0 s  about 15.0 s left`
        )
        // Its own pace tells more than what it took before.
        for (const done of [1, 2]) {
          yield* listen(progress("wait", done))
          yield* TestClock.adjust("1 second")
        }
        assert.include(terminal.rows().at(-2)!, "2/3 nodes  7.0 s  about 1 min 37 s left")
      })
    )
  )

  it.effect("nothing is promised in a store without history, and a narrow terminal has no bar", () =>
    withStore(
      Effect.gen(function* () {
        const terminal = fakeTerminal({ columns: 40, rows: 24 })
        const listen = yield* Display.make(terminal.sink)
        yield* listen({ _tag: "Started", run: "20260101-000000-abcdef", graph })
        yield* listen(started("words"))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(terminal.rows().at(-2), "0/3 nodes  5.0 s")
      })
    )
  )

  it.effect("of many runs side by side: what is served is counted, and only what is news is told", () =>
    Effect.gen(function* () {
      const terminal = fakeTerminal({ columns: 80, rows: 24 })
      const listen = Merged.within(yield* Display.make(terminal.sink, { nodes: 6 }))
      for (const run of ["a", "b"]) yield* listen(run)({ _tag: "Started", run: "20260101-000000-abcdef", graph })
      yield* listen("a")(started("words"))
      yield* TestClock.adjust("2 seconds")
      yield* listen("a")(ended("words", "computed"))
      yield* listen("b")(ended("words", "cached"))
      yield* listen("b")(started("wait"))
      yield* TestClock.adjust("1 second")
      const rows = terminal.rows().filter((row) => row !== "")
      assert.deepStrictEqual(
        [rows[0], rows.at(-1)],
        ["✓ a: words  computed 3.2 s", `${"█".repeat(8)}${"░".repeat(16)}  2/6 nodes  3.0 s`]
      )
      assert.lengthOf(rows, 3)
      const { sink, writes } = memorySink()
      const plain = Merged.within(yield* Display.make(sink, { nodes: 6 }))
      yield* plain("a")({ _tag: "Started", run: "20260101-000000-abcdef", graph })
      yield* plain("a")(ended("words", "cached"))
      yield* plain("a")(ended("wait", "computed"))
      assert.deepStrictEqual(writes, ["✓ a: wait  computed 3.2 s\n"])
    }).pipe(Effect.scoped)
  )

  it("what is left is the longest way, or all that is left side by side, whichever is more", () => {
    const left = (node: string) => ({ words: 3000, decorate: 2000, wait: 1000 })[node]
    assert.deepStrictEqual(History.remaining(graph, new Set(), left, 4), { ms: 6000, isWhole: true })
    assert.deepStrictEqual(History.remaining(graph, new Set(["words"]), left, 1), { ms: 3000, isWhole: true })
    const unknown = (node: string) => (node === "wait" ? undefined : left(node))
    assert.deepStrictEqual(History.remaining(graph, new Set(["words"]), unknown, 1), { ms: 2000, isWhole: false })
  })
})

describe("colours and redrawing", () => {
  const sink = (isTTY: boolean, env: Readonly<Record<string, string>>) =>
    fromStream(Object.assign(new PassThrough(), { isTTY }), env)

  it.each<[string, boolean, Record<string, string>, { isTerminal: boolean; colours: boolean }]>([
    ["a terminal has both", true, {}, { isTerminal: true, colours: true }],
    ["a pipe has neither", false, {}, { isTerminal: false, colours: false }],
    ["NO_COLOR leaves redrawing", true, { NO_COLOR: "1" }, { isTerminal: true, colours: false }],
    ["an empty NO_COLOR is none", true, { NO_COLOR: "" }, { isTerminal: true, colours: true }],
    ["a dumb terminal has neither", true, { TERM: "dumb" }, { isTerminal: false, colours: false }]
  ])("%s", (_, isTTY, env, { colours, isTerminal }) => {
    const made = sink(isTTY, env)
    assert.strictEqual(made.isTerminal, isTerminal)
    assert.strictEqual(made.style.red("x") !== "x", colours)
  })
})
