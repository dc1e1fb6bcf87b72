import { PassThrough } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Graph from "../../dsl/Graph.ts"
import * as Display from "../../runtime/cli/display/Display.ts"
import { fromStream } from "../../runtime/cli/Output.ts"
import type { Event } from "../../runtime/executor/Executor.ts"
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

const ESCAPE = "\u001b"
const SEQUENCES = new RegExp(`${ESCAPE}\\[(?<up>\\d+)A\\r${ESCAPE}\\[J|${ESCAPE}\\[\\d+m|\\n|[^${ESCAPE}\\n]+`, "g")

/** What a terminal shows after it was sent the text: erasing goes up and clears everything below. */
const screen = (text: string): ReadonlyArray<string> => {
  const lines = [""]
  for (const { 0: piece, groups } of text.matchAll(SEQUENCES)) {
    if (groups?.["up"] !== undefined) lines.splice(lines.length - 1 - Number(groups["up"]), lines.length, "")
    else if (piece === "\n") lines.push("")
    else if (!piece.startsWith(ESCAPE)) lines[lines.length - 1] += piece
  }
  return lines
}

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
      const { sink, text } = memorySink({ isTerminal: true })
      const listen = yield* Display.make(sink)
      yield* listen(started("base"))
      yield* listen(started("other"))
      yield* TestClock.adjust("1 second")
      yield* listen(progress("base", 10))
      yield* TestClock.adjust("1 second")
      yield* listen(progress("base", 20))
      yield* TestClock.adjust("100 millis")
      const [base, other] = screen(text())
      assert.include(base!, "base  20/100 steps  loss 2.50  2.1 s")
      assert.match(other!, /^. other {2}2\.1 s$/)
      yield* listen(ended("other", "cached"))
      const [stays, below] = screen(text())
      assert.strictEqual(stays, "= other  cached")
      assert.include(below!, "base  20/100 steps")
    }).pipe(Effect.scoped)
  )

  it.effect("at most ten drawings a second, however often a stage reports", () =>
    Effect.gen(function* () {
      const { sink, writes } = memorySink({ isTerminal: true })
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
      const { sink, text } = memorySink({ isTerminal: true, columns: 30 })
      const listen = yield* Display.make(sink)
      for (let node = 0; node < 20; node++) yield* listen(started(`a-node-with-quite-a-long-name-${node}`))
      yield* TestClock.adjust("1 second")
      const lines = screen(text())
      assert.strictEqual(lines.at(-2), "  and 12 more")
      assert.strictEqual(lines.length, 10)
      assert.isTrue(lines.every((line) => line.length < 30))
    }).pipe(Effect.scoped)
  )

  it.effect("nothing that was running stays when the run is interrupted", () =>
    Effect.gen(function* () {
      const { sink, text } = memorySink({ isTerminal: true })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const listen = yield* Display.make(sink)
          yield* listen(ended("texts", "cached"))
          yield* listen(started("base"))
          yield* TestClock.adjust("1 second")
        })
      )
      assert.deepStrictEqual(screen(text()), ["= texts  cached", ""])
    })
  )
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
